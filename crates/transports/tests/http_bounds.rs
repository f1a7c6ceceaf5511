//! What a stranger can hold of an HTTP server is bounded: connections, time, sessions.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weald_transports::{HttpTransport, HttpTransportBuilder, Listener, Transport};

const DEADLINE: Duration = Duration::from_secs(60);

const HEALTH: &[u8] = b"GET /api/v0/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

async fn listen(builder: HttpTransportBuilder) -> (Listener, String) {
    let transport = builder.bind("127.0.0.1:0").build().unwrap();
    let listener = transport.listen().await.unwrap();
    let host = listener.address().text().to_owned();
    (listener, host)
}

/// Sends a request and reads until the server closes; what was read is empty if it refused the connection.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    let mut answer = Vec::new();
    if stream.write_all(request).await.is_ok() {
        // A connection refused is reset, or closed, as the system has it.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap();
    }
    String::from_utf8(answer).unwrap()
}

async fn is_served(host: &str) -> bool {
    let mut stream = TcpStream::connect(host).await.unwrap();
    ask(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200")
}

async fn until_served(host: &str) {
    let served = async {
        while !is_served(host).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, served).await.unwrap();
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let (_listener, host) = listen(HttpTransport::builder()).await;
    // Idle ones, until the server closes one at once instead of answering.
    let mut idle = Vec::new();
    while is_served(&host).await {
        assert!(idle.len() < 300, "there is no bound");
        idle.push(TcpStream::connect(&host).await.unwrap());
    }
    assert!(idle.len() >= 128, "64 links need two each, there were {}", idle.len());
    drop(idle);
    until_served(&host).await;
}

#[tokio::test]
async fn a_connection_beyond_the_most_waits_for_another_to_close() {
    let (_listener, host) = listen(HttpTransport::builder().connections_max(1)).await;
    let mut first = TcpStream::connect(&host).await.unwrap();
    let keeps = b"GET /api/v0/health HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(keeps).await.unwrap();
    let mut byte = [0];
    timeout(DEADLINE, first.read_exact(&mut byte)).await.unwrap().unwrap();
    let mut second = TcpStream::connect(&host).await.unwrap();
    let mut answer = std::pin::pin!(ask(&mut second, HEALTH));
    // The server answers a second request of the first connection, while the second connection waits.
    let third = async {
        first.write_all(HEALTH).await.unwrap();
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).await.unwrap();
    };
    timeout(DEADLINE, async {
        tokio::select! {
            biased;
            () = third => {}
            answer = &mut answer => panic!("a connection beyond the most got: {answer}"),
        }
    })
    .await
    .unwrap();
    drop(first);
    assert!(answer.await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_its_connection() {
    let (_listener, host) = listen(HttpTransport::builder()).await;
    for start in [&b""[..], b"GET /api/v0/hea", b"GET /api/v0/health HTTP/1.1\r\nhost: x\r\nx: "] {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let answer = ask(&mut stream, start).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(is_served(&host).await);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_frees_the_turn_to_post() {
    let (mut listener, host) = listen(HttpTransport::builder()).await;
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let open = "POST /api/v0/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let opened = ask(&mut stream, open.as_bytes()).await;
    let _link = listener.accept().await.unwrap();
    let id = opened.rsplit('"').nth(1).unwrap();
    let path = format!("/api/v0/sessions/{id}/frames?first=1");
    let post = |size: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n"
        )
    };
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let answer = ask(&mut stream, format!("{}abc", post(9)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let answer = ask(&mut stream, post(0).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn one_address_cannot_take_all_sessions() {
    let (mut listener, host) = listen(HttpTransport::builder().sessions_by_address(2)).await;
    let open = b"POST /api/v0/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answers = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        answers.push(ask(&mut stream, open).await);
    }
    let refused = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 201")));
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("too_many_of_address"));
    let _links = [listener.accept().await.unwrap(), listener.accept().await.unwrap()];
    // One is ended: there is room for one.
    let id = answers.first().unwrap().rsplit('"').nth(1).unwrap();
    let end =
        format!("DELETE /api/v0/sessions/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(&host).await.unwrap();
    assert!(ask(&mut stream, end.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let mut stream = TcpStream::connect(&host).await.unwrap();
    assert!(ask(&mut stream, open).await.starts_with("HTTP/1.1 201"));
}

#[tokio::test(start_paused = true)]
async fn a_session_of_an_ended_link_is_not_kept_alive_by_asking() {
    let (mut listener, host) = listen(HttpTransport::builder()).await;
    let open = b"POST /api/v0/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let opened = ask(&mut stream, open).await;
    drop(listener.accept().await.unwrap());
    let id = opened.rsplit('"').nth(1).unwrap();
    let poll = format!(
        "GET /api/v0/sessions/{id}/frames?after=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    let mut heard = 0;
    loop {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let answer = ask(&mut stream, poll.as_bytes()).await;
        if answer.starts_with("HTTP/1.1 404") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 410"), "{answer}");
        heard += 1;
        assert!(heard < 100, "asking keeps the session");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(heard > 0, "the end was not heard");
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_of_age_though_it_is_used() {
    let (_listener, host) = listen(HttpTransport::builder()).await;
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let mut answered = 0;
    let mut answer = [0; 1024];
    loop {
        let _ = stream.write_all(b"GET /api/v0/health HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let read = timeout(DEADLINE, stream.read(&mut answer)).await.unwrap();
        if read.unwrap_or(0) == 0 {
            break;
        }
        answered += 1;
        assert!(answered < 1000, "a connection in use never ends");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(answered > 1, "connections are used again");
    assert!(is_served(&host).await);
}
