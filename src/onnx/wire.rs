//! The protobuf wire format, as far as checking and splicing need it.

/// One field of a message: its number and wire type, where it starts, and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Field number.
    pub number: u64,
    /// Wire type: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
    pub kind: u8,
    /// Tag, length and payload.
    pub whole: &'a [u8],
    /// The payload of a length-delimited field; empty otherwise.
    pub payload: &'a [u8],
}

/// Fields of one message, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Iterates over the fields of a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// Payloads of the length-delimited fields of a number, up to the first malformed field.
pub fn payloads(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message)
        .map_while(Result::ok)
        .filter(move |field| field.number == number && field.kind == 2)
        .map(|field| field.payload)
}

/// A message that ends inside a field, or a field of an impossible kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = read_field(self.rest);
        self.rest = match &field {
            Ok(field) => &self.rest[field.whole.len()..],
            Err(Malformed) => &[],
        };
        Some(field)
    }
}

fn read_field(bytes: &[u8]) -> Result<Field<'_>, Malformed> {
    let (tag, tag_length) = varint(bytes)?;
    let (number, kind) = (tag >> 3, (tag & 7) as u8);
    let body = &bytes[tag_length..];
    if number == 0 {
        return Err(Malformed);
    }
    let (length, payload) = match kind {
        0 => (varint(body)?.1, &body[..0]),
        1 => (8, &body[..0]),
        2 => {
            let (length, prefix) = varint(body)?;
            let length = usize::try_from(length).map_err(|_| Malformed)?;
            let end = prefix.checked_add(length).ok_or(Malformed)?;
            (end, body.get(prefix..end).ok_or(Malformed)?)
        }
        5 => (4, &body[..0]),
        _ => return Err(Malformed),
    };
    let whole = bytes.get(..tag_length + length).ok_or(Malformed)?;
    Ok(Field { number, kind, whole, payload })
}

fn varint(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index as u32);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(Malformed)
}

/// Appends a varint.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field that holds an integer.
pub fn put_int(number: u64, value: u64, out: &mut Vec<u8>) {
    put_varint(number << 3, out);
    put_varint(value, out);
}

/// Appends tag and length of a length-delimited field.
pub fn put_header(number: u64, length: usize, out: &mut Vec<u8>) {
    put_varint(number << 3 | 2, out);
    put_varint(length as u64, out);
}

/// Appends a length-delimited field.
pub fn put_bytes(number: u64, payload: &[u8], out: &mut Vec<u8>) {
    put_header(number, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Bytes of the tag and length of a length-delimited field.
pub fn header_length(number: u64, length: usize) -> usize {
    let mut header = Vec::with_capacity(12);
    put_header(number, length, &mut header);
    header.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut message = Vec::new();
        put_int(1, u64::MAX, &mut message);
        put_bytes(2, b"abc", &mut message);
        put_bytes(1000, &[7; 300], &mut message);
        let read: Vec<_> = fields(&message).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|field| field.number).collect::<Vec<_>>(), [1, 2, 1000]);
        assert_eq!(read[1].payload, b"abc");
        assert_eq!(read[2].payload.len(), 300);
        assert_eq!(header_length(1000, 300) + 300, read[2].whole.len());
        assert_eq!(read.iter().map(|field| field.whole.len()).sum::<usize>(), message.len());
    }

    #[test]
    fn claims_beyond_the_end_and_groups_are_malformed() {
        let huge = [&[0x12][..], &[0xff; 9], &[0x01]].concat();
        for bytes in [&[0x12, 5, 0][..], &[0x80], &[0x0b], &[0x00, 0], &[0x0d, 1, 2], &huge] {
            let read: Vec<_> = fields(bytes).collect();
            assert_eq!(read, [Err(Malformed)], "{bytes:?}");
        }
    }
}
