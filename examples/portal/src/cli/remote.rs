//! Talking to a running server.

use eyrie_core::id::RunId;
use futures_util::StreamExt;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::CliResult;

/// A server, and the token to talk to it with.
#[derive(Clone)]
pub(super) struct Remote {
    client: Client,
    base: String,
    token: String,
}

impl Remote {
    pub(super) fn new(server: &str) -> CliResult<Self> {
        let token = std::env::var("EYRIE_TOKEN").map_err(|_| "set EYRIE_TOKEN to a token of the server")?;
        if !server.starts_with("http://") {
            return Err("the server's URL must begin with http:// (put a TLS proxy's plain side, or an SSH tunnel, in between)".into());
        }
        Ok(Self { client: Client::builder().no_proxy().build()?, base: server.trim_end_matches('/').to_owned(), token })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/api/v1/{path}", self.base)).bearer_auth(&self.token)
    }

    pub(super) async fn get(&self, path: &str) -> CliResult<Value> {
        Ok(checked(self.request(reqwest::Method::GET, path).send().await?).await?.json().await?)
    }

    /// An answer that need not be JSON.
    pub(super) async fn ask(&self, path: &str, query: &[(&str, String)]) -> CliResult<Response> {
        checked(self.request(reqwest::Method::GET, path).query(query).send().await?).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> CliResult<Value> {
        let mut request = self.request(reqwest::Method::POST, path).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Ok(checked(request.send().await?).await?.json().await?)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> CliResult<Value> {
        Ok(checked(self.request(reqwest::Method::PUT, path).json(body).send().await?).await?.json().await?)
    }

    /// Changes what still has that version.
    pub(super) async fn patch(&self, path: &str, version: u64, body: &Value) -> CliResult<Value> {
        let request = self.request(reqwest::Method::PATCH, path).header("If-Match", format!("\"{version}\"")).json(body);
        Ok(checked(request.send().await?).await?.json().await?)
    }

    pub(super) async fn delete(&self, path: &str) -> CliResult<()> {
        checked(self.request(reqwest::Method::DELETE, path).send().await?).await.map(drop)
    }

    pub(super) async fn log(&self, run: RunId, offset: u64) -> CliResult<(String, u64)> {
        let response = checked(self.request(reqwest::Method::GET, &format!("runs/{run}/log?offset={offset}")).send().await?).await?;
        let end = response.headers().get("Eyrie-Log-End").and_then(|end| end.to_str().ok()).and_then(|end| end.parse().ok());
        let text = response.text().await?;
        let end = end.unwrap_or(offset + text.len() as u64);
        Ok((text, end))
    }

    /// The run's events behind that number. A connection that breaks is opened again behind the last event.
    pub(super) fn events(&self, run: RunId, after: u64) -> EventLines {
        EventLines { remote: self.clone(), run, seen: after, response: None, buffer: Vec::new(), ended: false, over: false, failures: 0 }
    }
}

/// The answer, unless it is a problem.
async fn checked(response: Response) -> CliResult<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem: Value = response.json().await.unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or_default();
    Err(match problem["field"].as_str() {
        Some(field) if !detail.starts_with(field) => format!("the server answered {status}: {field}: {detail}").into(),
        _ => format!("the server answered {status}: {detail}").into(),
    })
}

/// Server-sent events of one run.
pub(super) struct EventLines {
    remote: Remote,
    run: RunId,
    seen: u64,
    response: Option<futures_util::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>>,
    buffer: Vec<u8>,
    /// The last event was an end. A run that failed may have been resumed: the server says whether there is more.
    ended: bool,
    over: bool,
    failures: u32,
}

impl EventLines {
    pub(super) async fn next(&mut self) -> CliResult<Option<Value>> {
        loop {
            if self.over {
                return Ok(None);
            }
            if let Some(event) = self.buffered()? {
                self.failures = 0;
                // It goes on behind what is no longer kept.
                let seq = event["seq"].as_u64().or_else(|| Some(event["first"].as_u64()?.saturating_sub(1)));
                self.seen = seq.unwrap_or(self.seen);
                self.ended = event["type"] == "run" && is_final(event["state"].as_str().unwrap_or_default());
                return Ok(Some(event));
            }
            let Some(stream) = &mut self.response else {
                self.connect().await?;
                continue;
            };
            match stream.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) | None => self.response = None,
            }
        }
    }

    async fn connect(&mut self) -> CliResult<()> {
        self.buffer.clear();
        let request = self.remote.request(reqwest::Method::GET, &format!("runs/{}/events", self.run));
        let answer = request.header("Last-Event-ID", self.seen.to_string()).send().await;
        match answer {
            Ok(response) if response.status() == StatusCode::NO_CONTENT => {
                self.over = true;
                Ok(())
            }
            Ok(response) => {
                let stream = checked(response).await?.bytes_stream();
                self.response = Some(stream.map(|bytes| bytes.map(|bytes| bytes.to_vec())).boxed());
                Ok(())
            }
            Err(_) if self.ended => {
                self.over = true;
                Ok(())
            }
            Err(error) if self.failures < 20 => {
                tracing::debug!(%error, "connecting again");
                self.failures += 1;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next whole event in the buffer.
    fn buffered(&mut self) -> CliResult<Option<Value>> {
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let data: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
            if !data.is_empty() {
                return Ok(Some(serde_json::from_str(&data.join("\n"))?));
            }
        }
        Ok(None)
    }
}

/// Whether that is the word of a state in which a run has ended.
pub(super) fn is_final(state: &str) -> bool {
    state.parse::<eyrie_core::model::RunState>().is_ok_and(eyrie_core::model::RunState::is_terminal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request with these events and closes the connection; answers with behind which event it was asked.
    async fn serve(listener: &TcpListener, events: &str) -> String {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        while !request.contains("\r\n\r\n") {
            let mut piece = [0; 1024];
            let read = connection.read(&mut piece).await.unwrap();
            request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{events}");
        connection.write_all(answer.as_bytes()).await.unwrap();
        let asked = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("last-event-id: ").map(str::to_owned));
        asked.unwrap()
    }

    /// It asked again from where it had been, and heard once more of what is no longer kept.
    #[tokio::test]
    async fn a_broken_connection_goes_on_behind_what_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let remote = Remote { client: Client::builder().no_proxy().build().unwrap(), base, token: String::new() };
        let mut events = remote.events(RunId::new(), 0);
        let server = tokio::spawn(async move {
            let pruned = "event: pruned\nid: 6\ndata: {\"type\":\"pruned\",\"first\":7}\n\n";
            let first = serve(&listener, pruned).await;
            (first, serve(&listener, "id: 7\ndata: {\"type\":\"run\",\"seq\":7,\"state\":\"succeeded\"}\n\n").await)
        });
        assert_eq!(events.next().await.unwrap().unwrap()["first"], 7);
        assert_eq!(events.next().await.unwrap().unwrap()["seq"], 7);
        assert_eq!(server.await.unwrap(), ("0".to_owned(), "6".to_owned()));
    }
}
