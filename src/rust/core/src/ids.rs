//! Many ids, and where each of them is.

/// The ids of runs, one after the other, and a table to find them by.
#[derive(Debug, Default)]
pub struct Ids {
    text: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<u64>,
    /// Where a hash leads to: 0, or a place from 1 on below the upper half of its hash. At most half
    /// of the slots are taken.
    table: Vec<u64>,
}

impl Ids {
    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        self.text.len() + 16 * self.ends.len() + 8 * self.table.len()
    }

    fn bytes(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[start..self.ends[place]]
    }

    pub fn get(&self, place: usize) -> &str {
        std::str::from_utf8(self.bytes(place)).expect("an id is ASCII")
    }

    pub fn place(&self, id: &str) -> Option<usize> {
        match self.table.is_empty() {
            true => None,
            false => self.search(id.as_bytes(), hash(id.as_bytes())).ok(),
        }
    }

    /// The place of an id, or the slot where it would be.
    fn search(&self, id: &[u8], hash: u64) -> std::result::Result<usize, usize> {
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.table[slot];
            if entry == 0 {
                return Err(slot);
            }
            let place = entry as u32 as usize - 1;
            if entry >> 32 == hash >> 32 && self.bytes(place) == id {
                return Ok(place);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds an id and gives its place, unless it is there already.
    pub fn add(&mut self, id: &[u8], hash: u64) -> Option<usize> {
        self.reserve(1);
        let slot = self.search(id, hash).err()?;
        self.text.extend_from_slice(id);
        self.ends.push(self.text.len());
        self.hashes.push(hash);
        self.table[slot] = hash >> 32 << 32 | self.ends.len() as u64;
        Some(self.ends.len() - 1)
    }

    /// Makes room for more ids.
    pub fn reserve(&mut self, more: usize) {
        let wanted = 2 * (self.ends.len() + more);
        if wanted <= self.table.len() {
            return;
        }
        let size = (2 * wanted).next_power_of_two().max(64);
        self.table = vec![0; size];
        for (place, &hash) in self.hashes.iter().enumerate() {
            let mut slot = hash as usize & (size - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = hash >> 32 << 32 | (place as u64 + 1);
        }
    }
}

pub fn hash(id: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = id.len() as u64;
    for chunk in id.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(MIX);
    }
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_its_place() {
        let mut ids = Ids::default();
        let id = |i: usize| format!("run-{}", i * i);
        for i in 0..5000 {
            let id = id(i);
            assert_eq!(ids.place(&id), None);
            assert_eq!(ids.add(id.as_bytes(), hash(id.as_bytes())), Some(i));
        }
        for i in 0..5000 {
            assert_eq!(ids.place(&id(i)), Some(i));
            assert_eq!(ids.get(i), id(i));
            assert_eq!(ids.add(id(i).as_bytes(), hash(id(i).as_bytes())), None);
        }
        // Ids of one hash are told apart.
        assert_eq!(ids.add(b"other", hash(b"run-0")), Some(5000));
        assert_eq!(ids.get(5000), "other");
    }
}
