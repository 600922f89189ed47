//! The readers: a bounded set of connections that only read, waited for with a timeout.
//!
//! Purposefully our own few lines and not the driver's pool: that one asks every connection for a sign
//! of life each time it comes back, which costs a round trip a query, and hands out connections
//! whose query was given up half-way. Here a connection comes back only between two statements.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::connection::{Connection, Purpose, Source};
use super::error::StoreError;
use super::session::Session;

/// After so long without use a connection is asked whether it lives.
const DOUBTED_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Readers {
    source: Source,
    timeout: Duration,
    places: Arc<Semaphore>,
    parked: Mutex<Vec<(Connection, Instant)>>,
}

impl Readers {
    pub(crate) fn new(source: Source, count: u32, timeout: Duration) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(count.max(1) as usize));
        Arc::new(Self { source, timeout, places, parked: Mutex::new(Vec::new()) })
    }

    /// A connection that reads, as soon as one is free.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Reader, StoreError> {
        let late = || StoreError::TimedOut { place: self.source.place().name(), after: self.timeout };
        let place = tokio::time::timeout(self.timeout, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| late())?
            .map_err(|_| StoreError::Closed)?;
        while let Some((connection, since)) = self.unpark() {
            let mut session = Session::new(connection, self.source.place().clone(), self.timeout);
            if since.elapsed() < DOUBTED_AFTER || session.ping().await.is_ok() {
                return Ok(self.lend(session, place));
            }
        }
        self.source.place().still_there().await?;
        let connecting = tokio::time::timeout(self.timeout, self.source.connect(Purpose::Read));
        match connecting.await {
            Err(_) => Err(late()),
            Ok(Err(error)) => Err(self.source.place().explain(&error)),
            Ok(Ok(connection)) => {
                Ok(self.lend(Session::new(connection, self.source.place().clone(), self.timeout), place))
            }
        }
    }

    /// Ends all reading: nothing is lent any more, and what is parked is closed.
    pub(crate) async fn close(&self) {
        self.places.close();
        while let Some((connection, _)) = self.unpark() {
            if let Err(error) = connection.close(self.timeout).await {
                tracing::debug!(%error, "a reading connection did not close in order");
            }
        }
    }

    fn lend(self: &Arc<Self>, session: Session, place: OwnedSemaphorePermit) -> Reader {
        Reader { session: Some(session), readers: Arc::clone(self), _place: place }
    }

    fn unpark(&self) -> Option<(Connection, Instant)> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn park(&self, connection: Connection) {
        if !self.places.is_closed() {
            self.parked.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        }
    }
}

/// A connection that reads, for as long as it is held. All its queries are [`Session`]'s.
#[derive(Debug)]
pub struct Reader {
    session: Option<Session>,
    readers: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Deref for Reader {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("only `drop` takes the session out")
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("only `drop` takes the session out")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(Session::is_sound) {
            self.readers.park(session.into_connection());
        }
    }
}
