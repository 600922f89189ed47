//! HTTP/2 to an app, by h2: many exchanges on one connection.
//!
//! ```text
//!   connection   one connection: how it begins, how many streams run on it, when it takes no more
//!   pool         the connections of one core, and the one that is being opened for all who wait
//!   stream       one exchange: the head, the body on its way, and the answer
//! ```
//!
//! h2 is used directly, and not through hyper's client: whether an app has seen a request (so that it may be
//! sent again) and how many streams it allows can be asked of h2 only.
//!
//! What an app says it did not process (`REFUSED_STREAM`, or a number above the last of a GOAWAY; RFC 9113
//! §8.7) was never sent, and is sent again as long as its body is whole. Whatever else ends a stream ends the
//! exchange.

mod connection;
mod pool;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::timeout;

use super::{Bounds, Exchange, Failure, Http1, Instance, RequestBody, ResponseBody};
use crate::gateway::upstream::AppConnections;
pub(super) use connection::Place;
use pool::{NoPlace, Pool, Room, open};
use stream::Unanswered;
pub(super) use stream::Upload;

/// How often a request is sent that the app says it never looked at.
const MOST_ATTEMPTS: usize = 3;

/// The connections of one core.
#[derive(Debug, Clone)]
pub(crate) struct Http2 {
    pool: Arc<Pool>,
    /// For apps that agree on nothing newer.
    http1: Http1,
}

impl Http2 {
    /// To be called on the runtime of the core.
    pub(crate) fn new(instances: usize, connections: AppConnections, http1: Http1) -> Self {
        Self { pool: Pool::new(instances, connections), http1 }
    }
}

impl Exchange for Http2 {
    async fn exchange(
        &self,
        instance: &Arc<Instance>,
        mut request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Failure> {
        if let Some(limit) = bounds.alone {
            return self.exchange_alone(instance, request, bounds, limit).await;
        }
        for _attempt in 0..MOST_ATTEMPTS {
            let place = match self.pool.room(instance, bounds.timeouts.connect).await {
                Ok(Room::Stream(place)) => place,
                Ok(Room::Http1) => return self.http1.exchange(instance, request, bounds).await,
                Err(NoPlace::Full) => return Err(Failure::Full),
                Err(NoPlace::Unconnected(none)) => return Err(none.failure(request)),
            };
            match stream::exchange(place, instance, request, bounds).await {
                Ok(response) => return Ok(response),
                Err(Unanswered::NotProcessed(whole)) => request = *whole,
                Err(Unanswered::Failed(failure)) => return Err(failure),
            }
        }
        Err(Failure::Refused(Box::new(request)))
    }
}

impl Http2 {
    /// On a connection that ends with the answer.
    async fn exchange_alone(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
        limit: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        let place = self.pool.place(limit).await.ok_or(Failure::Full)?;
        let exchange = async {
            let connection = match open(instance, place, limit).await {
                Ok(Some(connection)) => Arc::new(connection),
                Ok(None) => return self.http1.exchange(instance, request, bounds).await,
                Err(none) => return Err(none.failure(request)),
            };
            match stream::exchange(connection.enter(), instance, request, bounds).await {
                Ok(response) => Ok(response),
                Err(Unanswered::NotProcessed(whole)) => Err(Failure::Refused(whole)),
                Err(Unanswered::Failed(failure)) => Err(failure),
            }
        };
        timeout(limit, exchange).await.unwrap_or(Err(Failure::Silent))
    }
}
