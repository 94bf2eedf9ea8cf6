//! A disk that loses what was not synced, in any way that a disk may.

pub const SECTOR: usize = 512;

/// splitmix64
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        n > 0 && self.below(n) == 0
    }
}

/// A change that processes see and that isn't on the disk yet.
#[derive(Clone)]
pub enum Change {
    /// Whole sectors, up to the end of the file.
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        len: usize,
    },
}

#[derive(Clone, Default)]
pub struct SimFile {
    pub seen: Vec<u8>,
    pub disk: Vec<u8>,
    pub changes: Vec<Change>,
    /// The folder's entry is on the disk.
    pub named: bool,
    /// A sync failed, and cuts that came before it may never reach the disk.
    pub sync_failed: bool,
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => {
            image.resize(at + bytes.len(), 0);
            image[*at..].copy_from_slice(bytes);
        }
        Change::Truncate { len } => image.resize(*len, 0),
    }
}

impl SimFile {
    pub fn on_disk(bytes: Vec<u8>) -> SimFile {
        SimFile {
            seen: bytes.clone(),
            disk: bytes,
            changes: Vec::new(),
            named: true,
            sync_failed: false,
        }
    }

    pub fn append(&mut self, bytes: &[u8]) {
        let at = self.seen.len() / SECTOR * SECTOR;
        self.seen.extend_from_slice(bytes);
        let bytes = self.seen[at..].to_vec();
        self.changes.push(Change::Write { at, bytes });
    }

    pub fn truncate(&mut self, len: usize) {
        self.seen.truncate(len);
        self.changes.push(Change::Truncate { len });
    }

    pub fn sync(&mut self) {
        for change in self.changes.drain(..) {
            apply(&mut self.disk, &change);
        }
    }

    /// A sync that failed: the system forgets what it had to write, and processes go on seeing it.
    pub fn drop_changes(&mut self, random: &mut Random) {
        self.disk = self.after_power_cut(random);
        self.changes.clear();
        self.sync_failed = true;
    }

    /// The disk as it is, and as each change would leave it.
    fn versions(&self) -> Vec<Vec<u8>> {
        let mut versions = vec![self.disk.clone()];
        for change in &self.changes {
            let mut image = versions[versions.len() - 1].clone();
            apply(&mut image, change);
            versions.push(image);
        }
        versions
    }

    /// Whether processes see bytes that the system no longer means to write.
    pub fn dropped(&self) -> bool {
        self.versions().pop() != Some(self.seen.clone())
    }

    /// What a power cut leaves of the file's bytes.
    pub fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut versions = self.versions();
        let last = versions.len() - 1;
        if last == 0 {
            return self.disk.clone();
        }
        let kept = random.below(last + 1);
        match random.below(8) {
            // Nothing was lost, or everything that could be.
            0 => versions.swap_remove(last),
            1 => versions.swap_remove(0),
            // The first changes were kept, the next one was torn at a byte; its size may be there.
            2..=4 => torn(&versions[kept], versions.get(kept + 1), random),
            // Every sector is as it was at some moment, and so is the size.
            5 => {
                let len = versions[random.below(last + 1)].len();
                sectors(&versions, len, |random| random.below(last + 1), random)
            }
            // Of everything that was written one sector was lost, or a few were.
            n => {
                let often = if n == 6 { 2 } else { 6 };
                let len = versions[last].len();
                let pick = |random: &mut Random| {
                    if random.one_in(often) {
                        random.below(last)
                    } else {
                        last
                    }
                };
                sectors(&versions, len, pick, random)
            }
        }
    }
}

fn torn(before: &[u8], after: Option<&Vec<u8>>, random: &mut Random) -> Vec<u8> {
    let Some(after) = after.filter(|after| after.len() > before.len()) else {
        return before.to_vec();
    };
    let at = before.len() + random.below(after.len() - before.len() + 1);
    let mut image = after[..at].to_vec();
    if random.one_in(2) {
        image.resize(at + random.below(after.len() - at + 1), 0);
    }
    image
}

fn sectors(
    versions: &[Vec<u8>],
    len: usize,
    pick: impl Fn(&mut Random) -> usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut image = vec![0; len];
    for (n, sector) in image.chunks_mut(SECTOR).enumerate() {
        let version = &versions[pick(random)];
        let bytes = version.get(n * SECTOR..).unwrap_or(&[]);
        let length = bytes.len().min(sector.len());
        sector[..length].copy_from_slice(&bytes[..length]);
    }
    image
}
