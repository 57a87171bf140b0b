//! Services, as each exporter shows them.

use std::sync::Arc;

use opentelemetry_sdk::metrics::Temporality;
use tokio::{sync::Semaphore, task::yield_now};
use tokio_supervised::{
    CancellationToken, Ready, ServiceState, Services, ServicesHandle, TaskError, supervised,
};

use crate::{
    facade::{published, recorder},
    otel::Collected,
    run, text, value,
};

const NAME: &str = "exported \"service\"";

/// Ready once the gate is open.
#[supervised(name = "services: gated")]
async fn gated(
    token: &CancellationToken,
    ready: Ready,
    gate: Arc<Semaphore>,
) -> Result<(), TaskError> {
    gate.acquire().await.expect("it is not closed").forget();
    ready.set();
    token.cancelled().await;
    Ok(())
}

async fn until(handle: &ServicesHandle, state: ServiceState) {
    while handle.status()[0].state != state {
        yield_now().await;
    }
}

#[test]
fn a_service_is_up_while_it_is_ready() {
    let (token, gate) = (CancellationToken::new(), Arc::new(Semaphore::new(0)));
    let (recorder, collected) = (recorder(), Collected::new(Temporality::Cumulative));
    let up = || {
        let all = [text::samples(NAME), published(&recorder, NAME), collected.samples(NAME)];
        all.map(|samples| value(&samples, "supervised_service_up", &[("service", NAME)]))
    };
    run(async {
        let services = Services::new(&token)
            .service_with_ready(NAME, |token, ready| gated(token, ready, gate.clone()));
        let handle = services.handle();
        let watch = async {
            until(&handle, ServiceState::Starting).await;
            assert_eq!(up(), [Some(0.0); 3]);
            gate.add_permits(1);
            until(&handle, ServiceState::Ready).await;
            assert_eq!(up(), [Some(1.0); 3]);
            handle.stop(NAME).await.unwrap();
            // The recorder of the facade keeps what it has.
            assert_eq!(up(), [None, Some(0.0), None]);
            token.cancel();
        };
        let (ran, ()) = tokio::join!(services.run(), watch);
        ran.unwrap();
    });
}
