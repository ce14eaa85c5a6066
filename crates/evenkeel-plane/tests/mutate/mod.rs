//! Makes new exchanges out of known ones: cuts, doubles, joins, and puts in what parsers trip over.

// Used by a test and by a fuzzer, neither of which is seen from outside.
#![allow(dead_code, unreachable_pub)]

/// What parsers trip over.
const SPICES: [&[u8]; 40] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"0\r\n\r\n",
    b"1\r\nx\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"content-length:7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\tchunked \r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Host: a\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n",
    b"Expect: 100-continue\r\n",
    b"fffffffffffffffff",
    b"5;a=b\r\n",
    b"0000000000000003\r\n",
    b"+3",
    b"-0",
    b"0x3",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\xff",
    b"chunked",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
];

/// A source of mutations; the same seed gives the same ones.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Mutator {
        Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Something like one or two of the corpus.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        bytes.truncate(4096);
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = (at + self.below(20)).min(bytes.len());
            match self.below(7) {
                0 => drop(bytes.drain(at..to)),
                1 => insert(&mut bytes, at, SPICES[self.below(SPICES.len())]),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 => {
                    let copy = bytes[at..to].to_vec();
                    let place = self.below(bytes.len() + 1);
                    insert(&mut bytes, place, &copy);
                }
                4 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    insert(&mut bytes, at, &other[from..other.len().min(from + 200)]);
                }
                5 => {
                    let line =
                        bytes[at..].windows(2).position(|two| two == b"\r\n").map_or(at, |it| at + it + 2);
                    insert(&mut bytes, line, SPICES[self.below(SPICES.len())]);
                }
                _ => {
                    let other = corpus[self.below(corpus.len())].clone();
                    bytes.extend_from_slice(&other[..other.len().min(2048)]);
                }
            }
        }
        bytes
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}
