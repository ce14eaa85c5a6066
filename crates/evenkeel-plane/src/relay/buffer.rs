//! Memory of a worker: one scratch buffer that every read goes through, and a pool of chunks for what cannot be
//! passed on at once. An idle connection owns neither.

use std::cell::RefCell;

/// Room before what is read, for lines that an edited head gains.
pub(super) const HEADROOM: usize = 1024;
/// Bytes asked for at once, unless a stream proves to be bulk.
pub(super) const READ: usize = 64 * 1024;
/// Bytes of an answer asked for at first: one of 64 KiB comes, with its head, in one piece.
pub(super) const READ_ANSWER: usize = 128 * 1024;
/// Bytes asked for at once from a bulk stream: measured, it costs 35 to 60 % less than 64 KiB and less than splice.
pub(super) const READ_BULK: usize = 256 * 1024;
/// Bytes asked for while the receiver does not keep up: what it refuses has to be kept.
pub(super) const READ_SLOW: usize = 16 * 1024;

const CHUNK: usize = 2 * 1024;
const CHUNK_KEPT_MAX: usize = 80 * 1024;
const CHUNKS_KEPT_MAX: usize = 256;

/// Bytes on their way, from `at` to the end.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    at: usize,
}

/// Chunks that nobody uses. Each is empty: a byte left in one would turn up in another client's stream.
#[derive(Debug, Default)]
pub(super) struct Chunks(RefCell<Vec<Vec<u8>>>);

impl Chunk {
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    /// The first `count` bytes are done with.
    pub(super) fn advance(&mut self, count: usize) {
        self.at += count;
        assert!(self.at <= self.bytes.len(), "more was passed on than there was");
    }
    /// Begins again with the first byte.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }
    /// Everything ever put in, also what was passed on.
    pub(super) fn whole(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }
}

impl Chunks {
    /// An empty chunk.
    pub(super) fn take(&self) -> Chunk {
        let bytes = self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
        assert!(bytes.is_empty(), "a pooled chunk holds somebody's bytes");
        Chunk { bytes, at: 0 }
    }

    /// Takes a chunk back. Its owner has passed on, or cleared, all of it.
    pub(super) fn put(&self, mut chunk: Chunk) {
        assert!(chunk.is_empty(), "a chunk came back with bytes that were not passed on");
        chunk.clear();
        let mut kept = self.0.borrow_mut();
        if chunk.bytes.capacity() <= CHUNK_KEPT_MAX && kept.len() < CHUNKS_KEPT_MAX {
            kept.push(chunk.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "were not passed on")]
    fn a_chunk_with_bytes_left_never_returns_to_the_pool() {
        let chunks = Chunks::default();
        let mut chunk = chunks.take();
        chunk.push(b"secret");
        chunk.advance(3);
        chunks.put(chunk);
    }

    #[test]
    fn a_reused_chunk_is_empty() {
        let chunks = Chunks::default();
        let mut chunk = chunks.take();
        chunk.push(b"secret");
        chunk.advance(6);
        chunks.put(chunk);
        assert!(chunks.take().whole().is_empty());
    }
}
