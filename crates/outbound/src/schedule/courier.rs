//! The way out as it is configured: by the router's plans, over the network or into the local inbox.

use mail::address::Domain;
use store::Clock;

use crate::capture::InboxLink;
use crate::carry::{Carrier, Prepared, Transport};
use crate::model::{Courier, LaneKey, Link, Outcome, Parcel, Pending};
use crate::route::{Route, Router, Via};

/// Finds plans and connects by them.
#[derive(Clone)]
pub struct RoutedCourier {
    router: Router,
    transport: Transport,
    clock: Clock,
}

impl RoutedCourier {
    pub fn new(router: Router, transport: Transport, clock: Clock) -> Self {
        Self {
            router,
            transport,
            clock,
        }
    }

    async fn connect_by_plan(&self, domain: Domain) -> Result<Box<dyn Link>, Outcome> {
        let now = self.clock.now();
        let plan = self
            .router
            .plan(&domain)
            .await
            .map_err(|failure| failure.outcome(now))?;
        if plan.via == Via::Capture {
            return Ok(Box::new(InboxLink::new(self.clock.clone())));
        }
        let mut carrier = self.transport.carrier(plan);
        match carrier.open(now).await {
            Ok(()) => Ok(Box::new(SmtpLink {
                carrier,
                clock: self.clock.clone(),
            })),
            Err(outcome) => {
                self.router.forget(&domain);
                Err(outcome)
            }
        }
    }
}

impl Courier for RoutedCourier {
    fn lane(&self, domain: Domain) -> Pending<'_, Result<LaneKey, Outcome>> {
        Box::pin(async move {
            match self.router.plan(&domain).await {
                Ok(plan) => Ok(plan.lane.clone()),
                Err(failure) => Err(failure.outcome(self.clock.now())),
            }
        })
    }

    fn connect(&self, domain: Domain) -> Pending<'_, Result<Box<dyn Link>, Outcome>> {
        Box::pin(self.connect_by_plan(domain))
    }

    fn captures(&self) -> bool {
        *self.router.route() == Route::Capture
    }
}

struct SmtpLink {
    carrier: Carrier,
    clock: Clock,
}

impl Link for SmtpLink {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel) -> Pending<'a, Vec<Outcome>> {
        Box::pin(async move {
            let parts: &[&[u8]] = if parcel.prefix.is_empty() {
                &[&parcel.body]
            } else {
                &[&parcel.prefix, &parcel.body]
            };
            let prepared = Prepared {
                reverse_path: parcel.reverse_path.as_ref(),
                recipients: &parcel.recipients,
                ret: parcel.ret,
                envid: parcel.envid.as_deref(),
                parts,
            };
            self.carrier.deliver(&prepared, self.clock.now()).await
        })
    }

    fn is_usable(&self) -> bool {
        self.carrier.is_connected()
    }

    fn close(mut self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move { self.carrier.close().await })
    }
}
