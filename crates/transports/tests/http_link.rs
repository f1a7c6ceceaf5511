//! HTTP links through what networks and peers do: broken connections, restarts, ports in use, answers that lie.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weald_transports::{
    Address, CutReason, DialError, HttpTransport, Link, LinkError, LinkReceiver, LinkSender,
    ListenError, Transport,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn server(bind: &str) -> HttpTransport {
    HttpTransport::builder().bind(bind).build().unwrap()
}

fn client() -> HttpTransport {
    HttpTransport::builder().build().unwrap()
}

async fn expect_cut(link: &mut Link) -> CutReason {
    match timeout(DEADLINE, link.recv()).await.unwrap() {
        Err(LinkError::Cut(reason)) => reason,
        other => panic!("the link gave {other:?}"),
    }
}

/// Forwards connections to `target`, each for only `bytes` bytes, then breaks it off.
async fn breaking_proxy(target: String, bytes: u64) -> (Address, JoinHandle<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from_socket(socket.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((inward, _)) = socket.accept().await {
            let outward = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(forward(inward, outward, bytes));
        }
    });
    (address, task)
}

async fn forward(mut inward: TcpStream, mut outward: TcpStream, bytes: u64) {
    let (mut in_read, mut in_write) = inward.split();
    let (mut out_read, mut out_write) = outward.split();
    let mut there = (&mut in_read).take(bytes);
    let mut back = (&mut out_read).take(bytes);
    tokio::select! {
        _ = tokio::io::copy(&mut there, &mut out_write) => {}
        _ = tokio::io::copy(&mut back, &mut in_write) => {}
    }
}

async fn send_numbers(sender: &mut dyn LinkSender, count: u32, size: usize) {
    for number in 0..count {
        let mut frame = number.to_be_bytes().to_vec();
        frame.resize(size, 7);
        sender.send(frame.into()).await.unwrap();
    }
    sender.close().await.unwrap();
}

async fn expect_numbers(receiver: &mut dyn LinkReceiver, count: u32, size: usize) {
    for number in 0..count {
        let received = timeout(DEADLINE, receiver.recv()).await.unwrap().unwrap();
        let received: Bytes = received.unwrap();
        assert_eq!(received.len(), size);
        assert!(received.starts_with(&number.to_be_bytes()), "frame {number} is not next");
    }
    assert_eq!(timeout(DEADLINE, receiver.recv()).await.unwrap().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_lose_and_double_nothing() {
    let mut listener = server("127.0.0.1:0").listen().await.unwrap();
    let target = listener.address().text().to_owned();
    let (proxy, task) = breaking_proxy(target, 3 << 20).await;
    let here = client().dial(&proxy).await.unwrap();
    let there = listener.accept().await.unwrap();
    let (mut here_sends, mut here_reads) = here.split();
    let (mut there_sends, mut there_reads) = there.split();
    // 16 MiB each way is five broken connections each way at least, in the middle of bodies.
    tokio::join!(
        send_numbers(here_sends.as_mut(), 800, 20 << 10),
        send_numbers(there_sends.as_mut(), 800, 20 << 10),
        expect_numbers(here_reads.as_mut(), 800, 20 << 10),
        expect_numbers(there_reads.as_mut(), 800, 20 << 10),
    );
    task.abort();
}

#[tokio::test]
async fn a_restarted_server_cuts_the_link_with_its_reason() {
    let mut listener = server("127.0.0.1:0").listen().await.unwrap();
    let address = listener.address().clone();
    let mut link = client().dial(&address).await.unwrap();
    let _there = listener.accept().await.unwrap();
    listener.close().await;
    let mut again = server(address.text()).listen().await.unwrap();
    assert_eq!(again.address(), &address);
    // Told by the first server while it stopped, or by the second, which knows nothing of the session.
    let reason = expect_cut(&mut link).await;
    assert!(matches!(reason, CutReason::ListenerClosed | CutReason::SessionUnknown), "{reason:?}");
    let mut link = client().dial(&address).await.unwrap();
    let mut there = again.accept().await.unwrap();
    link.send("back".into()).await.unwrap();
    assert_eq!(there.recv().await.unwrap().as_deref(), Some(&b"back"[..]));
}

#[tokio::test]
async fn a_server_that_forgot_the_session_cuts_the_link() {
    // The first server answers the dial; the network then leads to another that knows nothing.
    let mut first = server("127.0.0.1:0").listen().await.unwrap();
    let second = server("127.0.0.1:0").listen().await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from_socket(socket.local_addr().unwrap());
    let (one, two) = (first.address().text().to_owned(), second.address().text().to_owned());
    let task = tokio::spawn(async move {
        let mut target = one;
        while let Ok((mut inward, _)) = socket.accept().await {
            let mut outward = TcpStream::connect(&target).await.unwrap();
            let started = std::mem::replace(&mut target, two.clone());
            tokio::spawn(async move {
                let _ = copy_bidirectional(&mut inward, &mut outward).await;
                drop(started);
            });
        }
    });
    let mut link = client().dial(&address).await.unwrap();
    let _there = first.accept().await.unwrap();
    // Two requests at once need a second connection.
    let _ = link.send("hello".into()).await;
    assert!(matches!(expect_cut(&mut link).await, CutReason::SessionUnknown));
    task.abort();
}

#[tokio::test]
async fn a_peer_out_of_reach_cuts_the_link_after_the_time_to_retry() {
    let mut listener = server("127.0.0.1:0").listen().await.unwrap();
    let (proxy, task) = breaking_proxy(listener.address().text().to_owned(), 600).await;
    let transport = HttpTransport::builder().retry_for(Duration::from_millis(300)).build().unwrap();
    let mut link = transport.dial(&proxy).await.unwrap();
    let _there = listener.accept().await.unwrap();
    task.abort();
    let _ = task.await;
    let sent = link.send(vec![1; 1000].into()).await;
    assert!(sent.is_ok());
    let reason = expect_cut(&mut link).await;
    assert!(matches!(reason, CutReason::Unreachable { .. }), "{reason:?}");
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let listener = server("127.0.0.1:0").listen().await.unwrap();
    let taken = listener.address().clone();
    let error = server(taken.text()).listen().await.unwrap_err();
    let ListenError::AddressInUse { address } = &error else {
        panic!("a port in use gave {error:?}");
    };
    assert_eq!(address, &taken);
    assert!(error.to_string().contains("already in use"));
    let error = server("192.0.2.1:0").listen().await.unwrap_err();
    assert!(matches!(error, ListenError::NotAvailable { .. }), "{error:?}");
    let error = client().listen().await.unwrap_err();
    assert!(matches!(error, ListenError::NoAddress { .. }), "{error:?}");
    assert!(HttpTransport::builder().bind("127.0.0.1:x").build().is_err());
    assert!(HttpTransport::builder().bind("memory:x").build().is_err());
}

#[tokio::test]
async fn a_full_server_refuses_and_takes_more_later() {
    let transport = HttpTransport::builder().bind("127.0.0.1:0").sessions_max(1).build().unwrap();
    let mut listener = transport.listen().await.unwrap();
    let address = listener.address().clone();
    let mut link = client().dial(&address).await.unwrap();
    let mut there = listener.accept().await.unwrap();
    let error = client().dial(&address).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { .. }), "{error:?}");
    tokio::try_join!(link.close(), there.close()).unwrap();
    assert_eq!(link.recv().await.unwrap(), None);
    assert_eq!(there.recv().await.unwrap(), None);
    let again = async {
        while client().dial(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, again).await.unwrap();
}

/// Serves the given answers, one a connection, the last one for ever.
async fn liar(answers: Vec<Vec<u8>>) -> Address {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::from_socket(socket.local_addr().unwrap());
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        let mut at = 0;
        while let Ok((mut stream, _)) = socket.accept().await {
            let answer = answers.get(at).or(answers.last()).unwrap().clone();
            at += 1;
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let size = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn what_is_not_weald_is_not_dialled() {
    for wrong in [
        answer("200 OK", b"<h1>hello</h1>"),
        answer("404 Not Found", b""),
        answer("302 Found\r\nlocation: http://127.0.0.1:1/", b""),
        answer("201 Created", b"{\"session\": \"../../etc\"}"),
        answer("201 Created", &vec![b' '; 1 << 20]),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        Vec::new(),
    ] {
        let address = liar(vec![wrong.clone()]).await;
        let error = timeout(DEADLINE, client().dial(&address)).await.unwrap().unwrap_err();
        assert!(
            matches!(error, DialError::NotWeald { .. } | DialError::Unreachable { .. }),
            "{:?} gave {error:?}",
            String::from_utf8_lossy(&wrong)
        );
    }
}

#[tokio::test]
async fn answers_that_break_the_rules_cut_the_link() {
    let opened = answer("201 Created", b"{\"session\": \"abc\"}");
    for wrong in [
        answer("200 OK", &[0, 0, 0, 9]),
        answer("200 OK", &[0, 255, 255, 255]),
        answer("200 OK", &vec![0; (8 << 20) + 1]),
        answer("403 Forbidden", b"no"),
        answer("404 Not Found", b"a proxy's page"),
    ] {
        let address = liar(vec![opened.clone(), wrong]).await;
        let mut link = client().dial(&address).await.unwrap();
        let reason = expect_cut(&mut link).await;
        assert!(matches!(reason, CutReason::Protocol { .. }), "{reason:?}");
        let sent = link.send("late".into()).await;
        assert!(matches!(sent, Err(LinkError::Cut(_))), "{sent:?}");
    }
}
