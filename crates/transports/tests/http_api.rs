//! The HTTP API against requests made by hand: every answer is as documented, also to nonsense.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weald_transports::{FRAME_MAX, HttpTransport, Link, Listener, Transport};

const DEADLINE: Duration = Duration::from_secs(60);

struct Api {
    listener: Listener,
    host: String,
}

impl Api {
    async fn start() -> Self {
        let transport = HttpTransport::builder().bind("127.0.0.1:0").build().unwrap();
        let listener = transport.listen().await.unwrap();
        assert_eq!(transport.server_address().as_ref(), Some(listener.address()));
        let host = listener.address().text().to_owned();
        Self { listener, host }
    }

    /// Opens a session by hand; returns its path and the server's link.
    async fn open(&mut self) -> (String, Link) {
        let (status, body) = self.json("POST", "/api/v0/sessions", b"").await;
        assert_eq!(status, 201);
        let id = body["session"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 26);
        let link = self.listener.accept().await.unwrap();
        (format!("/api/v0/sessions/{id}"), link)
    }

    async fn raw(&self, request: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        read.unwrap().unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    async fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let host = &self.host;
        let size = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    async fn json(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let (status, body) = self.request(method, path, body).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn expect_error(&self, method: &str, path: &str, body: &[u8], status: u16, code: &str) {
        let (got, body) = self.json(method, path, body).await;
        assert_eq!((got, body["error"]["code"].as_str()), (status, Some(code)), "{method} {path}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }
}

fn body(frames: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        body.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
        body.extend_from_slice(frame);
    }
    body
}

async fn receive(link: &mut Link) -> Option<Vec<u8>> {
    let received = timeout(DEADLINE, link.recv()).await.unwrap().unwrap();
    received.map(|frame| frame.to_vec())
}

#[tokio::test]
async fn health_and_capabilities_are_json() {
    let api = Api::start().await;
    let (status, body) = api.json("GET", "/api/v0/health", b"").await;
    assert_eq!((status, body["status"].as_str()), (200, Some("ok")));
    let (status, body) = api.json("GET", "/api/v0/capabilities", b"").await;
    assert_eq!((status, body["api"].as_str()), (200, Some("v0")));
    assert_eq!(body["frame_max"].as_u64(), u64::try_from(FRAME_MAX).ok());
}

#[tokio::test]
async fn what_is_not_there_is_said_as_json() {
    let api = Api::start().await;
    let frames = "/api/v0/sessions/nosuchsession/frames";
    api.expect_error("GET", &format!("{frames}?after=0"), b"", 404, "session_unknown").await;
    api.expect_error("POST", &format!("{frames}?first=1"), b"", 404, "session_unknown").await;
    let session = "/api/v0/sessions/nosuchsession";
    api.expect_error("DELETE", session, b"", 404, "session_unknown").await;
    api.expect_error("GET", "/", b"", 404, "path_unknown").await;
    api.expect_error("GET", "/api/v0/nothing", b"", 404, "path_unknown").await;
    api.expect_error("GET", "/api/v0/sessions", b"", 405, "method_not_allowed").await;
    api.expect_error("PUT", "/api/v0/health", b"", 405, "method_not_allowed").await;
}

#[tokio::test]
async fn a_repeated_post_changes_nothing() {
    let mut api = Api::start().await;
    let (session, mut link) = api.open().await;
    let post = |first: u64| format!("{session}/frames?first={first}");
    for (first, frames, next) in [
        (1, &[&b"a"[..], b"b"][..], 3),
        (1, &[b"a", b"b"], 3),
        (2, &[b"b", b"c"], 4),
        (4, &[], 4),
        (1, &[], 4),
    ] {
        let (status, answer) = api.json("POST", &post(first), &body(frames)).await;
        assert_eq!((status, answer["next"].as_u64()), (200, Some(next)));
    }
    api.expect_error("POST", &post(9), &body(&[b"z"]), 409, "gap").await;
    let end = [&body(&[b"d"])[..], &[255; 4]].concat();
    for _ in 0..2 {
        let (status, answer) = api.json("POST", &post(4), &end).await;
        assert_eq!((status, answer["next"].as_u64()), (200, Some(6)));
    }
    for expected in [b"a", b"b", b"c", b"d"] {
        assert_eq!(receive(&mut link).await.as_deref(), Some(&expected[..]));
    }
    assert_eq!(receive(&mut link).await, None);
}

#[tokio::test]
async fn nonsense_is_refused_and_takes_nothing() {
    let mut api = Api::start().await;
    let (session, mut link) = api.open().await;
    let post = format!("{session}/frames?first=1");
    api.expect_error("POST", &post, &[0, 0], 400, "bad_frames").await;
    api.expect_error("POST", &post, &[0, 0, 0, 9, 1, 2], 400, "bad_frames").await;
    api.expect_error("POST", &post, &[0, 0, 0, 1, 7, 1], 400, "bad_frames").await;
    api.expect_error("POST", &post, &[254, 0, 0, 0], 413, "frame_too_large").await;
    api.expect_error("POST", &post, &[0; 8192], 413, "too_many_frames").await;
    api.expect_error("POST", &post, &[255, 255, 255, 255, 1], 400, "bad_frames").await;
    for query in ["", "?first", "?first=", "?first=x", "?first=0", "?first=-1", "?after=1"] {
        let path = format!("{session}/frames{query}");
        api.expect_error("POST", &path, &body(&[b"a"]), 400, "bad_number").await;
    }
    api.expect_error("GET", &format!("{session}/frames"), b"", 400, "bad_number").await;
    let (status, _) = api.json("POST", &post, &body(&[b"good"])).await;
    assert_eq!(status, 200);
    assert_eq!(receive(&mut link).await.as_deref(), Some(&b"good"[..]));
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let mut api = Api::start().await;
    let (session, _link) = api.open().await;
    let (_, capabilities) = api.json("GET", "/api/v0/capabilities", b"").await;
    let most = usize::try_from(capabilities["body_max"].as_u64().unwrap()).unwrap();
    assert!(most < 3 * FRAME_MAX, "a body is little more than a batch and a frame");
    let over = most + 1;
    let host = &api.host;
    let head =
        format!("POST {session}/frames?first=1 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    // By its length: refused before the body comes.
    let request = format!("{head}content-length: {over}\r\n\r\n");
    let (status, answer) = api.raw(request.as_bytes()).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, answer["error"]["code"].as_str()), (413, Some("body_too_large")));
    // In pieces without a length: refused once it is too much.
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n{over:x}\r\n").into_bytes();
    request.resize(request.len() + over, 0);
    let (status, answer) = api.raw(&request).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, answer["error"]["code"].as_str()), (413, Some("body_too_large")));
}

#[tokio::test]
async fn a_session_has_one_post_at_a_time() {
    let mut api = Api::start().await;
    let (session, mut link) = api.open().await;
    let path = format!("{session}/frames?first=1");
    let whole = body(&[b"slow"]);
    let (start, rest) = whole.split_at(3);
    // The server asks for the body once it holds the session's turn to post.
    let mut stream = TcpStream::connect(&api.host).await.unwrap();
    let (host, size) = (&api.host, whole.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    timeout(DEADLINE, stream.read_exact(&mut asked)).await.unwrap().unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(start).await.unwrap();
    api.expect_error("POST", &path, b"", 409, "post_running").await;
    // Refused at once: its body is not waited for.
    let other = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 99\r\nconnection: close\r\n\r\n"
    );
    let (status, _) = api.raw(other.as_bytes()).await;
    assert_eq!(status, 409);
    stream.write_all(rest).await.unwrap();
    assert_eq!(receive(&mut link).await.as_deref(), Some(&b"slow"[..]));
    // The connection breaks off in the middle of a body: the turn is free again.
    let mut broken = TcpStream::connect(&api.host).await.unwrap();
    let head = head.replace("first=1", "first=2");
    broken.write_all(head.as_bytes()).await.unwrap();
    timeout(DEADLINE, broken.read_exact(&mut asked)).await.unwrap().unwrap();
    drop(broken);
    let path = format!("{session}/frames?first=2");
    let again = async {
        while api.request("POST", &path, &body(&[b"again"])).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, again).await.unwrap();
    assert_eq!(receive(&mut link).await.as_deref(), Some(&b"again"[..]));
}

#[tokio::test]
async fn frames_are_kept_until_acknowledged() {
    let mut api = Api::start().await;
    let (session, mut link) = api.open().await;
    link.send("x".into()).await.unwrap();
    link.send("y".into()).await.unwrap();
    let poll = |after: u64| format!("{session}/frames?after={after}");
    for _ in 0..2 {
        let answer = api.request("GET", &poll(0), b"").await;
        assert_eq!(answer, (200, body(&[b"x", b"y"])));
    }
    assert_eq!(api.request("GET", &poll(1), b"").await, (200, body(&[b"y"])));
    api.expect_error("GET", &poll(0), b"", 400, "bad_number").await;
    api.expect_error("GET", &poll(3), b"", 400, "bad_number").await;
    link.close().await.unwrap();
    let end = [&body(&[b"y"])[..], &[255; 4]].concat();
    assert_eq!(api.request("GET", &poll(1), b"").await, (200, end));
    assert_eq!(api.request("GET", &poll(2), b"").await, (200, vec![255; 4]));
    assert_eq!(api.request("GET", &poll(3), b"").await, (200, vec![]));
    let (status, _) = api.json("DELETE", &session, b"").await;
    assert_eq!(status, 200);
    api.expect_error("DELETE", &session, b"", 404, "session_unknown").await;
    let cut = timeout(DEADLINE, link.recv()).await.unwrap();
    assert!(cut.is_err(), "the client went without closing its side");
}

#[tokio::test]
async fn a_second_poll_ends_the_first() {
    let mut api = Api::start().await;
    let (session, mut link) = api.open().await;
    let path = format!("{session}/frames?after=0");
    // Whichever of the two comes second stays, and gets the frame.
    let mut one = std::pin::pin!(api.request("GET", &path, b""));
    let mut other = std::pin::pin!(api.request("GET", &path, b""));
    let (replaced, stays) = timeout(DEADLINE, async {
        tokio::select! {
            answer = &mut one => (answer, other),
            answer = &mut other => (answer, one),
        }
    })
    .await
    .unwrap();
    let error: Value = serde_json::from_slice(&replaced.1).unwrap();
    assert_eq!((replaced.0, error["error"]["code"].as_str()), (409, Some("poll_replaced")));
    link.send("live".into()).await.unwrap();
    let stayed = timeout(DEADLINE, stays).await.unwrap();
    assert_eq!(stayed, (200, body(&[b"live"])));
}

#[tokio::test]
async fn a_dropped_link_answers_gone() {
    let mut api = Api::start().await;
    let (session, link) = api.open().await;
    drop(link);
    let frames = format!("{session}/frames");
    api.expect_error("GET", &format!("{frames}?after=0"), b"", 410, "link_dropped").await;
    api.expect_error("POST", &format!("{frames}?first=1"), b"", 410, "link_dropped").await;
}
