//! Reading the protobuf wire format, as far as checking and splicing need it.

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

#[cfg(test)]
mod tests {
    use super::{super::MessageWriter, *};

    #[test]
    fn what_is_written_is_read() {
        let message = MessageWriter::of(|message| {
            message.int(1, u64::MAX);
            message.field(2, b"abc");
            message.field(1000, [7; 300]);
            message.float(3, 1.0);
            message.message(4, |inner| inner.int(1, 150));
        });
        let read: Vec<_> = fields(&message).map(Result::unwrap).collect();
        let numbers: Vec<_> = read.iter().map(|field| (field.number, field.kind)).collect();
        assert_eq!(numbers, [(1, 0), (2, 2), (1000, 2), (3, 5), (4, 2)]);
        assert_eq!(read[1].payload, b"abc");
        assert_eq!(read[2].payload.len(), 300);
        // The example of the protobuf documentation.
        assert_eq!(read[4].payload, [0x08, 0x96, 0x01]);
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
