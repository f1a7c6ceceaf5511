//! The two halves of a link over two pipes; dropping one before its end cuts the link, as the traits promise.

use std::sync::Arc;

use bytes::Bytes;

use crate::address::Address;
use crate::link::{BoxFuture, CutReason, Link, LinkError, LinkReceiver, LinkSender};
use crate::pipe::Pipe;

/// Builds the link that sends into `outward` and receives from `inward`.
pub(crate) fn link_over(peer: Address, outward: Arc<Pipe>, inward: Arc<Pipe>) -> Link {
    let sender = PipeSender { outward: Arc::clone(&outward), inward: Arc::clone(&inward) };
    let receiver = PipeReceiver { outward, inward, ended: false };
    Link::new(peer, sender, receiver)
}

struct PipeSender {
    outward: Arc<Pipe>,
    inward: Arc<Pipe>,
}

impl LinkSender for PipeSender {
    fn send(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(self.outward.push(frame))
    }

    fn close(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(std::future::ready(self.outward.finish()))
    }
}

impl Drop for PipeSender {
    fn drop(&mut self) {
        if !self.outward.is_finished() {
            self.outward.cut(CutReason::Dropped);
            self.inward.cut(CutReason::Dropped);
        }
    }
}

struct PipeReceiver {
    outward: Arc<Pipe>,
    inward: Arc<Pipe>,
    ended: bool,
}

impl LinkReceiver for PipeReceiver {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        Box::pin(async {
            let received = self.inward.pop().await;
            self.ended |= !matches!(received, Ok(Some(_)));
            received
        })
    }
}

impl Drop for PipeReceiver {
    fn drop(&mut self) {
        if !self.ended {
            self.inward.abort(CutReason::Dropped);
            if !self.outward.is_finished() {
                self.outward.cut(CutReason::Dropped);
            }
        }
    }
}
