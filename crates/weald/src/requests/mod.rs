//! How somebody comes to hold something in a database: by an invite in a ticket, or by a request.

mod asking;
mod hourly;
mod invite;
mod invite_book;
mod invite_error;
mod invite_use;
mod policy;
mod queue;
mod received;
mod request_book;
mod request_error;
mod request_rows;
mod requested;
mod short_code;

pub use asking::{AccessOptions, AccessRequest, REQUEST_ANSWER_MAX};
pub use invite::InviteOptions;
pub(crate) use invite_book::InviteBook;
pub use invite_error::InviteError;
pub(crate) use invite_use::{Seat, UseInvite, take_seat};
pub use policy::RequestPolicy;
pub use queue::{
    ASKS_PER_HOUR_MAX, REQUESTS_DECIDED_MAX, REQUESTS_PER_ADDRESS_MAX, REQUESTS_PER_DATABASE_MAX,
    REQUESTS_PER_DEVICE_MAX, REQUESTS_WAITING_MAX, RequestState,
};
pub use received::{ReceivedRequest, Requests};
pub(crate) use request_book::RequestBook;
pub use request_error::RequestError;
pub use requested::{REQUESTS_MADE_MAX, RequestStatus};
