//! The listener: connections, each with a bound on what it may cost.
//!
//! In: sockets, the routes of all rooms. Out: answers; at a stop, those of the requests in hand first.
//! Never here: a listener for others than this machine without a token and TLS, or a connection beyond the bound.

use super::answer::Refusal;
use super::settings::PushSettings;
use crate::observe::{HandshakeFailed, RequestAnswered};
use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Answers until `stop`, then lets the requests in hand end, as long as the settings allow.
///
/// # Errors
/// The listener can be reached from elsewhere, and no token is set, or nothing about TLS.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    settings: Arc<PushSettings>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the listener's own address")?;
    if settings.token.is_none() && !address.ip().is_loopback() {
        bail!("{address} can be reached from other machines: set a token, or listen on a loopback address");
    }
    if settings.tls.is_none() && !settings.behind_proxy && !address.ip().is_loopback() {
        bail!("{address} can be reached from other machines: set TLS, or say that a proxy before it ends TLS");
    }
    let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&settings), guard)).layer(middleware::from_fn(watched));
    let free = Arc::new(Semaphore::new(settings.connections_max));
    let (stopping, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut renewing = std::pin::pin!(renewed(&settings));
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            never = &mut renewing => match never {},
            accepted = accept(&listener, &free) => accepted,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Some((socket, place)) => {
                open.spawn(connection(socket, place, routes.clone(), Arc::clone(&settings), stopped.clone()));
            }
            // No descriptor is free, or the peer has gone again: the next may do better.
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let ended = async { while open.join_next().await.is_some() {} };
    // What is cut off here was not acknowledged.
    drop(tokio::time::timeout(settings.drain, ended).await);
    Ok(())
}

/// Certificates are taken over as they are renewed; without any nothing happens.
async fn renewed(settings: &PushSettings) -> Infallible {
    match &settings.tls {
        Some(tls) => tls.renew().await,
        None => std::future::pending().await,
    }
}

/// First a place, then the connection: who finds none waits in the system's queue.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(free).acquire_owned().await.ok()?;
    let (socket, _) = listener.accept().await.ok()?;
    Some((socket, place))
}

async fn connection(
    socket: TcpStream,
    place: OwnedSemaphorePermit,
    routes: Router,
    settings: Arc<PushSettings>,
    stopped: watch::Receiver<bool>,
) {
    match &settings.tls {
        None => answer(socket, routes, &settings, stopped).await,
        Some(tls) => {
            let (tls, mut stopping) = (tls.acceptor(), stopped.clone());
            let shaken = tokio::select! {
                shaken = tokio::time::timeout(settings.handshake_within, tls.accept(socket)) => shaken,
                // Nothing was asked yet.
                () = async { drop(stopping.wait_for(|stopped| *stopped).await) } => return,
            };
            match shaken {
                Ok(Ok(stream)) => answer(stream, routes, &settings, stopped).await,
                Ok(Err(_)) => HandshakeFailed { slow: false }.emit(),
                Err(_) => HandshakeFailed { slow: true }.emit(),
            }
        }
    }
    drop(place);
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    settings: &PushSettings,
    mut stopped: watch::Receiver<bool>,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(settings.head_within).max_buf_size(1 << 18);
    let mut answering = std::pin::pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    // How a connection ends concerns its peer only: what was acknowledged is durable.
    tokio::select! {
        ended = answering.as_mut() => drop(ended),
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
            answering.as_mut().graceful_shutdown();
            drop(answering.await);
        }
    }
}

/// Without the token nobody learns more than that the process lives.
async fn guard(State(settings): State<Arc<PushSettings>>, request: Request, next: Next) -> Response {
    let Some(token) = &settings.token else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    let bearer = given.and_then(|given| given.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if request.uri().path() != "/healthz" && !bearer.is_some_and(|(_, given)| token.is(given.trim())) {
        return Refusal::Token.into_response();
    }
    next.run(request).await
}

async fn watched(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    RequestAnswered { route, status: response.status().as_u16(), took: began.elapsed() }.emit();
    response
}
