//! What a device holds after a power failure, by the trace of what was written to it.

use std::{fs, path::Path};

use eyrie_core::testing::Rng;

/// The files, by their numbers in a trace.
const NAMES: [&str; 3] = ["eyrie.db", "eyrie.db-wal", "eyrie.db-journal"];
const JOURNAL: u8 = 3;
const FOLDER: u8 = 9;
const HEADER: usize = 16;
/// What a device writes as a whole.
const SECTOR: usize = 512;

/// One thing that was written down.
#[derive(Debug)]
struct Record<'a> {
    kind: u8,
    file: u8,
    place: u64,
    data: &'a [u8],
}

/// All that was written down, in its order.
#[derive(Debug)]
pub struct Trace<'a>(Vec<Record<'a>>);

impl<'a> Trace<'a> {
    /// The records in these bytes. The last may have been cut short.
    pub fn read(mut bytes: &'a [u8]) -> Self {
        let mut records = Vec::new();
        while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
            let number = |from: usize, to: usize| header[from..to].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let length = usize::try_from(number(4, 8)).expect("a length");
            let Some((data, rest)) = rest.split_at_checked(length) else { break };
            records.push(Record { kind: header[0], file: header[1], place: number(8, 16), data });
            bytes = rest;
        }
        Self(records)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The moments just after something was said in the journal: what was acknowledged then is the freshest.
    pub fn words(&self) -> Vec<usize> {
        (0..self.len()).filter(|at| self.0[*at].kind == b'w' && self.0[*at].file == JOURNAL).map(|at| at + 1).collect()
    }

    /// How often the device was waited for.
    pub fn syncs(&self) -> usize {
        self.0.iter().filter(|record| record.kind == b's').count()
    }
}

#[derive(Debug, Default)]
struct File {
    /// Whether its name is on the device, and whether it will be.
    is_linked: bool,
    exists: bool,
    durable: Vec<u8>,
    /// Numbers of the records that the device may not have yet.
    pending: Vec<usize>,
}

/// A device as it comes to be.
#[derive(Debug)]
pub struct Disk<'a> {
    trace: &'a Trace<'a>,
    done: usize,
    files: [File; 3],
    said: Vec<u8>,
}

impl<'a> Disk<'a> {
    /// An empty one.
    pub fn new(trace: &'a Trace<'a>) -> Self {
        Self { trace, done: 0, files: Default::default(), said: Vec::new() }
    }

    /// Goes on to that moment.
    pub fn go_to(&mut self, moment: usize) {
        while self.done < moment {
            self.take(self.done);
            self.done += 1;
        }
    }

    fn take(&mut self, number: usize) {
        let record = &self.trace.0[number];
        match (record.kind, record.file) {
            (b'w', JOURNAL) => self.said.extend_from_slice(record.data),
            (b's', FOLDER) => self.files.iter_mut().for_each(|file| {
                file.is_linked = file.exists;
                if !file.exists {
                    *file = File::default();
                }
            }),
            (_, JOURNAL | FOLDER) => {}
            (b's', file) => {
                let file = &mut self.files[usize::from(file)];
                let (old, new) = file.pending.iter().partition(|number| (**number as u64) < record.place);
                file.pending = new;
                let old: Vec<usize> = old;
                old.into_iter().for_each(|number| apply(&mut file.durable, &self.trace.0[number]));
            }
            (b'u', file) => self.files[usize::from(file)].exists = false,
            (_, file) => {
                let file = &mut self.files[usize::from(file)];
                if !file.exists && file.is_linked {
                    // Made anew under a name that the device still knows: the old content may come back.
                    file.pending.clear();
                }
                file.exists = true;
                file.pending.push(number);
            }
        }
    }

    /// The journal's whole lines so far.
    pub fn lines(&self) -> String {
        let whole = self.said.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        String::from_utf8_lossy(&self.said[..whole]).into_owned()
    }

    /// The power fails: the folder gets what the device has. Of what nobody waited for nothing is left, or (with numbers to choose by) a
    /// random part, torn at its sectors.
    pub fn fail(&self, folder: &Path, mut torn: Option<&mut Rng>) {
        for (file, name) in self.files.iter().zip(NAMES) {
            let mut content = file.durable.clone();
            let mut is_there = file.is_linked;
            if let Some(rng) = &mut torn {
                let (odds, keeps_name) = (rng.between(1, 4), rng.once_in(2));
                is_there |= file.exists && keeps_name;
                for number in &file.pending {
                    tear(&mut content, &self.trace.0[*number], rng, odds);
                }
            }
            if is_there {
                fs::write(folder.join(name), content).expect("the file is written");
            }
        }
    }
}

fn apply(content: &mut Vec<u8>, record: &Record<'_>) {
    let place = usize::try_from(record.place).expect("a place in memory");
    if record.kind == b't' {
        return content.resize(place, 0);
    }
    let end = place + record.data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[place..end].copy_from_slice(record.data);
}

fn tear(content: &mut Vec<u8>, record: &Record<'_>, rng: &mut Rng, odds: u64) {
    if record.kind == b't' {
        if rng.once_in(odds) {
            apply(content, record);
        }
        return;
    }
    let mut place = record.place;
    for data in record.data.chunks(SECTOR) {
        if rng.once_in(odds) {
            apply(content, &Record { place, data, ..*record });
        }
        place += data.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, file: u8, place: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, file, 0, 0];
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(place.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn what_was_not_synced_is_gone() {
        let bytes = [
            record(b'w', 0, 0, b"first"),
            record(b's', 0, 1, b""),
            record(b's', FOLDER, 2, b""),
            record(b'w', 0, 5, b" second"),
            record(b'w', JOURNAL, 0, b"said\nhal"),
            // Begun before the write above it.
            record(b's', 0, 3, b""),
            record(b'w', 1, 0, b"no name"),
            record(b's', 1, 7, b""),
        ]
        .concat();
        let trace = Trace::read(&bytes);
        let mut disk = Disk::new(&trace);
        disk.go_to(trace.len());
        let folder = tempfile::tempdir().unwrap();
        disk.fail(folder.path(), None);
        assert_eq!(fs::read(folder.path().join("eyrie.db")).unwrap(), b"first");
        assert!(!folder.path().join("eyrie.db-wal").exists(), "its folder was never synced");
        assert_eq!((disk.lines().as_str(), trace.words(), trace.syncs()), ("said\n", vec![5], 4));
        disk.fail(folder.path(), Some(&mut Rng::new(1)));
        let torn = fs::read(folder.path().join("eyrie.db")).unwrap();
        assert!(torn == b"first" || torn == b"first second", "a sector is written as a whole");
    }
}
