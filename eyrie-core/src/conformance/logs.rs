//! Run logs.

use super::fixtures::{at, chain, kept_deployment, place, queued};
use crate::{
    clock::Timestamp,
    id::RunId,
    store::{LogChunk, MAX_LOG_CHUNK, Store},
};

/// A chunk as a writer hands it over: offset and time are the store's to set.
fn chunk(run_id: RunId, step: u32, text: &str) -> LogChunk {
    LogChunk { run_id, offset: 999, step: at(step), at: Timestamp::UNIX_EPOCH, text: text.to_owned() }
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
    store.append_log(&[chunk(one, 0, "först\n"), chunk(two, 0, "x\n"), chunk(one, 1, "\u{1f426}\0\n")]).await.unwrap();
    store.append_log(&[chunk(two, 0, "y\n")]).await.unwrap();
    store.append_log(&[chunk(one, 0, "last\n")]).await.unwrap();

    let first = store.read_log(one, 0, 1 << 20).await.unwrap();
    assert_eq!(texts(&first), [(0, 0, "först\n"), (7, 1, "\u{1f426}\0\n"), (13, 0, "last\n")]);
    assert_eq!(texts(&store.read_log(two, 0, 1 << 20).await.unwrap()), [(0, 0, "x\n"), (2, 0, "y\n")]);
    assert!(first.iter().all(|chunk| chunk.run_id == one && chunk.at > Timestamp::UNIX_EPOCH), "the store sets the time");
    assert!(first.is_sorted_by_key(|chunk| chunk.at));
}

/// Chunks that end behind the offset are read, from a place in the middle of one too.
pub async fn read_by_offset(store: &dyn Store) {
    let run = queued(store, &place(store, "shop").await, &chain(&["a"])).await.id;
    store.append_log(&["0123456789", "abcdefghij", "ABCDEFGHIJ"].map(|text| chunk(run, 0, text))).await.unwrap();
    for (offset, expected) in [
        (0, vec![0, 10, 20]),
        (9, vec![0, 10, 20]),
        (10, vec![10, 20]),
        (25, vec![20]),
        (29, vec![20]),
        (30, vec![]),
        (u64::MAX / 4, vec![]),
    ] {
        let chunks = store.read_log(run, offset, 1 << 20).await.unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.offset).collect::<Vec<_>>(), expected, "from {offset}");
    }
}

/// A reader that asks for little gets little, but never nothing while there is more; so it comes to the end.
pub async fn read_by_size(store: &dyn Store) {
    let run = queued(store, &place(store, "shop").await, &chain(&["a"])).await.id;
    let lines: Vec<_> = (0..20).map(|line| format!("line {line:03}\n")).collect();
    store.append_log(&lines.iter().map(|line| chunk(run, 0, line)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.read_log(run, 0, 0).await.unwrap().len(), 1);
    assert_eq!(store.read_log(run, 0, 1).await.unwrap().len(), 1);
    let some = store.read_log(run, 0, 45).await.unwrap().len();
    assert!((4..=6).contains(&some), "about 45 bytes are 5 lines of 9, not {some}");
    let (mut offset, mut text) = (0, String::new());
    loop {
        let chunks = store.read_log(run, offset, 30).await.unwrap();
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
    store.append_log(&[chunk(run, 0, &large), chunk(astray, 0, "lost"), chunk(run, 0, ""), chunk(run, 0, "end")]).await.unwrap();
    store.append_log(&[]).await.unwrap();
    let chunks = store.read_log(run, 0, 1 << 20).await.unwrap();
    let kept: Vec<_> = chunks.iter().filter(|chunk| !chunk.text.is_empty()).collect();
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].offset, kept[0].text == large), (0, true));
    assert_eq!((kept[1].offset, kept[1].text.as_str()), (MAX_LOG_CHUNK as u64, "end"));
    assert_eq!(store.read_log(astray, 0, 1 << 20).await.unwrap(), []);
}
