//! Writing the protobuf wire format.

/// A message in the making: its fields in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageWriter {
    bytes: Vec<u8>,
}

impl MessageWriter {
    /// A message whose fields a function writes.
    pub fn of(write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut message = Self::default();
        write(&mut message);
        message.bytes
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends fields that are encoded already.
    pub fn copy(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    /// Appends a field that holds an integer.
    pub fn int(&mut self, number: u64, value: u64) {
        self.varint(number << 3);
        self.varint(value);
    }

    /// Appends a field that holds a float.
    pub fn float(&mut self, number: u64, value: f32) {
        self.varint(number << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Appends a field that holds bytes: a text, or a message that is encoded already.
    pub fn field(&mut self, number: u64, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        self.header(number, payload.len());
        self.bytes.extend_from_slice(payload);
    }

    /// Appends a field that holds a message.
    pub fn message(&mut self, number: u64, write: impl FnOnce(&mut Self)) {
        self.field(number, Self::of(write));
    }

    /// Appends tag and length of a field whose payload follows.
    pub fn header(&mut self, number: u64, length: usize) {
        self.varint(number << 3 | 2);
        self.varint(length as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
