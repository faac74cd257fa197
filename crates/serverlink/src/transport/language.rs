//! What is spoken on the streams of an endpoint.

use std::{io, sync::Arc, time::Instant};

use serverlink_zmtp as zmtp;

use super::{
    connection::{Protocol, Web},
    tls,
};
use crate::{
    Error, Result, SocketType,
    endpoint::{StreamEndpoint, WebEndpoint},
    options::Options,
};

/// How the conversation on a stream begins, as far as the endpoint says.
#[derive(Debug)]
pub(crate) enum Language {
    /// With the first byte.
    Plain,
    /// As a WebSocket that we accept, over TLS if at all.
    WebServer(Option<tls::Server>),
    /// As one that we ask for.
    WebClient(Box<WebClient>),
}

#[derive(Debug)]
pub(crate) struct WebClient {
    authority: String,
    path: String,
    tls: Option<tls::Client>,
}

impl Language {
    /// On the streams that are accepted at an endpoint.
    pub(crate) fn of_listener(
        endpoint: &StreamEndpoint,
        socket_type: SocketType,
        options: &Options,
    ) -> Result<Self> {
        Ok(match web(endpoint, socket_type, options)? {
            None => Self::Plain,
            Some(web) if web.secure => Self::WebServer(Some(tls::Server::new(options)?)),
            Some(_) => Self::WebServer(None),
        })
    }

    /// On the streams that are connected to it.
    pub(crate) fn of_connecter(
        endpoint: &StreamEndpoint,
        socket_type: SocketType,
        options: &Options,
    ) -> Result<Self> {
        let Some(web) = web(endpoint, socket_type, options)? else { return Ok(Self::Plain) };
        let tls = match web.secure {
            true => Some(tls::Client::new(&endpoint.to_string(), &web.host(), options)?),
            false => None,
        };
        let client = WebClient { authority: web.authority(), path: web.path.clone(), tls };
        Ok(Self::WebClient(Box::new(client)))
    }

    /// Begins a conversation.
    pub(crate) fn begin(&self, options: &Options, socket_type: SocketType) -> io::Result<Protocol> {
        let now = Instant::now();
        let config = || options.protocol(socket_type);
        let (zmtp, tls) = match self {
            Self::Plain => return Ok(Protocol::new(options, socket_type)),
            Self::WebServer(tls) => {
                let tls = tls.as_ref().map(tls::Server::begin).transpose()?;
                (zmtp::WebConnection::accepting(config(), now), tls)
            }
            Self::WebClient(client) => {
                let WebClient { authority, path, tls } = &**client;
                let tls = tls.as_ref().map(tls::Client::begin).transpose()?;
                (zmtp::WebConnection::connecting(authority, path, config(), now), tls)
            }
        };
        Ok(Protocol::Web(Box::new(Web::new(zmtp, tls.map(Arc::new)))))
    }
}

/// The endpoint, if it is one of WebSockets; an error, if the socket cannot have those.
fn web<'a>(
    endpoint: &'a StreamEndpoint,
    socket_type: SocketType,
    options: &Options,
) -> Result<Option<&'a WebEndpoint>> {
    let StreamEndpoint::Web(web) = endpoint else { return Ok(None) };
    if socket_type == SocketType::Router && options.router_raw {
        let reason = format!("what comes by {endpoint} is messages of ZeroMQ, not a raw stream");
        return Err(Error::InvalidOption { option: "router_raw", reason });
    }
    Ok(Some(web))
}
