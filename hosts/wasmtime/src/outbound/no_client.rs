//! In place of the client for providers, where the feature `outbound` is off: no provider can be reached.

use std::time::Duration;

use url::Url;
use vestibule_enforcement::outbound::networks::Networks;

use super::{Failure, OutboundError, OutboundOptions, ProviderResponse};
use crate::bindings::vestibule::filter::outbound_http::{Error, Request};

pub(super) struct ProviderClient {
    total_timeout: Duration,
}

impl ProviderClient {
    #[expect(clippy::unnecessary_wraps, reason = "the client of the feature `outbound` can fail")]
    pub(super) fn new(options: &OutboundOptions) -> Result<ProviderClient, OutboundError> {
        Ok(ProviderClient { total_timeout: options.total_timeout })
    }

    pub(super) fn total_timeout(&self) -> Duration {
        self.total_timeout
    }

    #[expect(clippy::unused_async, reason = "the client of the feature `outbound` waits")]
    pub(super) async fn perform(&self, _url: Url, _request: Request, _networks: Networks) -> Result<ProviderResponse, Failure> {
        Err(Failure::Failed(Error::Unreachable("this host is built without the feature `outbound` of vestibule-wasmtime".into())))
    }
}
