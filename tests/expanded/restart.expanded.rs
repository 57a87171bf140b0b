impl Consumer {
    #[allow(clippy::impl_trait_in_params)]
    fn consume(
        self: Arc<Self>,
        token: impl ::tokio_supervised::AsToken,
        queue: Queue,
    ) -> ::tokio_supervised::Restarting<impl ::tokio_supervised::__private::Runs<Output = ()>> {
        let __supervised_kept_1 = ::tokio_supervised::__private::kept(queue);
        return ::tokio_supervised::__private::supervise_restarting(
            {
                static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                    ::tokio_supervised::__private::TaskSpec::new(
                        "consume",
                        ::tokio_supervised::__private::Policy::DEFAULT.restart(
                            ::tokio_supervised::__private::Restart::ON_FAILURE.backoff(
                                ::core::time::Duration::from_millis(1000u64)
                                    ..::core::time::Duration::from_millis(60000u64),
                            ),
                        ),
                    );
                &TOKIO_SUPERVISED_SPEC
            },
            token,
            ::tokio_supervised::__private::output::<()>({
                use ::tokio_supervised::__private::{
                    ByAnyError as _, ByAnything as _, ByError as _, ByResult as _,
                    BySharedError as _,
                };
                (&&&&::tokio_supervised::__private::Probe::<()>::NEW).__supervised_verdict()
            }),
            move || async move {
                let _ = &self;
                let queue = __supervised_kept_1.take();
                let (mut queue,) = (queue,);
                if let ::core::option::Option::Some(__supervised_never) =
                    ::core::option::Option::None::<()>
                {
                    return __supervised_never;
                }
                match () {
                    () => {
                        ({
                            while let Some(job) = queue.next().await {
                                self.work(job).await;
                            }
                        })
                    }
                }
            },
        );
    }
}
