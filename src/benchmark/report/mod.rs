//! Results as pictures that need nothing else: an [`Outcome`](super::Outcome) as a page
//! ([`to_html`](super::Outcome::to_html)), points as a [`Plot`].

mod adaptation;
mod diagram;
mod front;
mod page;
mod scatter;

pub use front::Front;
pub use scatter::{Plot, Point};
