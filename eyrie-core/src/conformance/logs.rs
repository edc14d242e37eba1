//! Run logs.

use super::fixtures::{at, chain, kept_deployment, place, queued};
use crate::{
    clock::Timestamp,
    id::RunId,
    store::{LogBound, LogChunk, MAX_LOG_CHUNK, Store},
};

/// A chunk as a writer hands it over: offset and time are the store's to set.
fn chunk(run_id: RunId, step: u32, text: &str) -> LogChunk {
    LogChunk { run_id, offset: 999, step: at(step), at: Timestamp::UNIX_EPOCH, text: text.to_owned() }
}

/// Appends to logs that are not cut.
async fn append(store: &dyn Store, chunks: &[LogChunk]) {
    store.append_log(chunks, LogBound::default()).await.unwrap();
}

fn texts(chunks: &[LogChunk]) -> Vec<(u64, u32, &str)> {
    chunks.iter().map(|chunk| (chunk.offset, chunk.step.get(), chunk.text.as_str())).collect()
}

/// Offsets count bytes from the beginning of each run's log without gaps, whatever the text.
pub async fn offsets_are_contiguous(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    let plan = chain(&["a", "b"]);
    let (one, two) = (queued(store, &shop, &plan).await.id, queued(store, &blog, &plan).await.id);
    append(store, &[chunk(one, 0, "först\n"), chunk(two, 0, "x\n"), chunk(one, 1, "\u{1f426}\0\n")]).await;
    append(store, &[chunk(two, 0, "y\n")]).await;
    append(store, &[chunk(one, 0, "last\n")]).await;

    let first = store.read_log(one, 0, 1 << 20).await.unwrap().chunks;
    assert_eq!(texts(&first), [(0, 0, "först\n"), (7, 1, "\u{1f426}\0\n"), (13, 0, "last\n")]);
    assert_eq!(texts(&store.read_log(two, 0, 1 << 20).await.unwrap().chunks), [(0, 0, "x\n"), (2, 0, "y\n")]);
    assert!(first.iter().all(|chunk| chunk.run_id == one && chunk.at > Timestamp::UNIX_EPOCH), "the store sets the time");
    assert!(first.is_sorted_by_key(|chunk| chunk.at));
}

/// Chunks that end behind the offset are read, from a place in the middle of one too.
pub async fn read_by_offset(store: &dyn Store) {
    let run = queued(store, &place(store, "shop").await, &chain(&["a"])).await.id;
    append(store, &["0123456789", "abcdefghij", "ABCDEFGHIJ"].map(|text| chunk(run, 0, text))).await;
    for (offset, expected) in [
        (0, vec![0, 10, 20]),
        (9, vec![0, 10, 20]),
        (10, vec![10, 20]),
        (25, vec![20]),
        (29, vec![20]),
        (30, vec![]),
        (u64::MAX / 4, vec![]),
    ] {
        let chunks = store.read_log(run, offset, 1 << 20).await.unwrap().chunks;
        assert_eq!(chunks.iter().map(|chunk| chunk.offset).collect::<Vec<_>>(), expected, "from {offset}");
    }
}

/// A reader that asks for little gets little, but never nothing while there is more; so it comes to the end.
pub async fn read_by_size(store: &dyn Store) {
    let run = queued(store, &place(store, "shop").await, &chain(&["a"])).await.id;
    let lines: Vec<_> = (0..20).map(|line| format!("line {line:03}\n")).collect();
    append(store, &lines.iter().map(|line| chunk(run, 0, line)).collect::<Vec<_>>()).await;
    assert_eq!(store.read_log(run, 0, 0).await.unwrap().chunks.len(), 1);
    assert_eq!(store.read_log(run, 0, 1).await.unwrap().chunks.len(), 1);
    let some = store.read_log(run, 0, 45).await.unwrap().chunks.len();
    assert!((4..=6).contains(&some), "about 45 bytes are 5 lines of 9, not {some}");
    let (mut offset, mut text) = (0, String::new());
    loop {
        let chunks = store.read_log(run, offset, 30).await.unwrap().chunks;
        let Some(last) = chunks.last() else { break };
        offset = last.offset + last.text.len() as u64;
        text.extend(chunks.into_iter().map(|chunk| chunk.text));
    }
    assert_eq!((text.as_str(), offset), (lines.concat().as_str(), 180));
}

/// The largest chunk is kept whole; chunks of unknown runs and empty ones leave nothing, and their neighbours are kept.
pub async fn large_empty_and_astray(store: &dyn Store) {
    let run = queued(store, &place(store, "shop").await, &chain(&["a"])).await.id;
    let large = "ö".repeat(MAX_LOG_CHUNK / 2);
    let astray = RunId::new();
    append(store, &[chunk(run, 0, &large), chunk(astray, 0, "lost"), chunk(run, 0, ""), chunk(run, 0, "end")]).await;
    append(store, &[]).await;
    let chunks = store.read_log(run, 0, 1 << 20).await.unwrap().chunks;
    let kept: Vec<_> = chunks.iter().filter(|chunk| !chunk.text.is_empty()).collect();
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].offset, kept[0].text == large), (0, true));
    assert_eq!((kept[1].offset, kept[1].text.as_str()), (MAX_LOG_CHUNK as u64, "end"));
    assert_eq!(store.read_log(astray, 0, 1 << 20).await.unwrap().chunks, []);
}

/// Of a log that grows beyond its bound the beginning and the end are kept, at their offsets; a reader is told what is missing and
/// comes to the end, wherever it begins. Other logs are left alone.
pub async fn the_middle_is_dropped(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let blog = kept_deployment(store, &store.group(shop.group_id).await.unwrap(), "blog").await;
    let (run, other) = (queued(store, &shop, &chain(&["a"])).await.id, queued(store, &blog, &chain(&["a"])).await.id);
    let bound = LogBound::new(LogBound::MIN).unwrap();
    let lines: Vec<_> = (0..2000).map(|line| format!("line {line:04}{}\n", ".".repeat(990))).collect();
    let written = lines.concat();
    for lines in lines.chunks(50) {
        let chunks: Vec<_> = lines.iter().map(|line| chunk(run, 0, line)).chain([chunk(other, 0, "x\n")]).collect();
        store.append_log(&chunks, bound).await.unwrap();
    }
    assert_eq!(store.read_log(other, 0, 1 << 20).await.unwrap().text(), "x\n".repeat(40));

    let (mut offset, mut kept, mut text) = (0, 0, String::new());
    loop {
        let piece = store.read_log(run, offset, 10_000).await.unwrap();
        assert_eq!(piece.from, offset);
        for chunk in &piece.chunks {
            let from = usize::try_from(chunk.offset).unwrap();
            assert_eq!(written.get(from..from + chunk.text.len()), Some(chunk.text.as_str()), "text stands where it was written");
            kept += chunk.text.len() as u64;
        }
        if piece.chunks.is_empty() {
            assert_eq!((piece.end, piece.text().as_str()), (written.len() as u64, ""));
            break;
        }
        text.push_str(&piece.text());
        offset = piece.end;
    }
    assert!((bound.bytes() / 2..=bound.bytes()).contains(&kept), "{kept} bytes are kept");
    assert!(text.starts_with(&lines[..100].concat()) && text.ends_with(&lines[1900..].concat()));
    let note = format!("\n[{} bytes of the log are no longer kept]\n", written.len() as u64 - kept);
    assert_eq!(text.matches("no longer kept").count(), 1);
    assert!(text.contains(&note), "{note} is missing");
    let amidst = store.read_log(run, bound.bytes(), 10_000).await.unwrap();
    assert!(amidst.chunks[0].offset > bound.bytes() && !amidst.chunks.is_empty(), "there is more behind what is missing");
}
