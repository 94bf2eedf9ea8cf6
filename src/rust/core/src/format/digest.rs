//! SHA-256 and its 64 lower-case hex digits.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// Digests bytes as they come.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The length of a digest in hex.
pub const HEX_LEN: usize = 64;

/// What each character is as a hex digit; 16 if it is none.
static NIBBLES: [u8; 256] = {
    let mut nibbles = [16; 256];
    let mut digit = 0;
    while digit < 16 {
        nibbles[b"0123456789abcdef"[digit] as usize] = digit as u8;
        digit += 1;
    }
    nibbles
};

impl Digest {
    /// The digest of several pieces, one after the other.
    pub fn of(pieces: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Digest(hasher.finalize().into())
    }

    /// The digest of everything that can be read, in blocks.
    pub fn of_reader(reader: &mut impl std::io::Read) -> std::io::Result<(Digest, u64)> {
        let mut hasher = Sha256::new();
        let mut block = vec![0; 1 << 16];
        let mut size = 0;
        loop {
            match reader.read(&mut block) {
                Ok(0) => return Ok((Digest(hasher.finalize().into()), size)),
                Ok(n) => {
                    hasher.update(&block[..n]);
                    size += n as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    pub fn hex(&self) -> [u8; HEX_LEN] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = [0; HEX_LEN];
        for (pair, byte) in out.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        out
    }

    /// Reads exactly 64 lower-case hex digits.
    pub fn from_hex(hex: &[u8]) -> Option<Digest> {
        if hex.len() != HEX_LEN {
            return None;
        }
        let mut out = [0; 32];
        let mut odd = 0;
        for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
            let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
            odd |= high | low;
            *byte = high << 4 | low & 15;
        }
        if odd > 15 {
            return None;
        }
        Some(Digest(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        assert_eq!(
            Digest::of(&[b"a", b"bc"]).to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn hex_is_strict() {
        let hex = Digest::of(&[b""]).hex();
        assert_eq!(Digest::from_hex(&hex), Some(Digest::of(&[b""])));
        assert_eq!(Digest::from_hex(&hex[1..]), None);
        assert_eq!(Digest::from_hex(&hex.to_ascii_uppercase()), None);
    }

    #[test]
    fn a_reader_gives_the_digest_of_its_bytes() {
        let bytes = vec![7; 200_000];
        let (digest, size) = Digest::of_reader(&mut bytes.as_slice()).unwrap();
        assert_eq!(digest, Digest::of(&[&bytes]));
        assert_eq!(size, 200_000);
    }
}
