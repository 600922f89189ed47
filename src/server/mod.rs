//! The composition root: opens what lasts, builds the rooms, binds, serves, drains.
//!
//! Two kinds of threads. Each *data-plane* thread is a current-thread runtime with its own listening
//! socket (`SO_REUSEPORT`), so that a connection lives and dies on one core. The *control runtime*
//! owns every socket to the database and to Redis, the admin API and the work by the clock; the data
//! plane reaches it by bounded messages only.

pub mod acme;
mod connection;
pub mod data_plane;
mod descriptors;
pub mod dev;
pub mod dev_accounts;
pub mod entrance;
pub mod example_app;
pub mod house;
mod http2;
pub mod inherited;
pub mod listener;
mod monitoring;
mod proxy_protocol;
pub mod reload;
pub mod restart;
pub mod secrets;
pub mod serve;
mod signals;
mod stream;
mod taken;
pub mod tls;
