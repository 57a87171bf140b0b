impl Consumer {
    #[allow(clippy::impl_trait_in_params)]
    fn consume(
        self: Arc<Self>,
        #[cfg(not(doc))] __supervised_token: impl ::tokio_supervised::AsToken,
        #[cfg(doc)] token: impl ::tokio_supervised::AsToken,
        queue: Queue,
    ) -> ::tokio_supervised::Restarting<impl ::tokio_supervised::__private::Runs<Output = ()>> {
        #[cfg(doc)]
        let __supervised_token = token;
        let __supervised_kept_1 = ::tokio_supervised::__private::restart_arg(queue);
        let _ = ::tokio_supervised::__private::restart_arg::<Arc<Self>>;
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
            __supervised_token,
            ::tokio_supervised::__private::output::<()>({
                use ::tokio_supervised::__private::{
                    ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                    ByResult as _, BySharedError as _,
                };
                (&&&&&&::tokio_supervised::__private::Probe::<()>::NEW).__supervised_verdict()
            }),
            move || async move {
                let _ = &self;
                let queue = __supervised_kept_1.take();
                let (mut queue,) = (queue,);
                if false {
                    return ::tokio_supervised::__private::declared::<()>();
                }
                #[allow(dead_code)]
                const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                    ::tokio_supervised::__private::File::of(::core::file!());
                #[allow(unused_imports)]
                use ::tokio_supervised::__private::at as __supervised_at;
                match () {
                    () => {
                        ({
                            while let Some(job) = __supervised_at(
                                TOKIO_SUPERVISED_FILE,
                                ::core::line!(),
                                queue.next(),
                            )
                            .await
                            {
                                __supervised_at(
                                    TOKIO_SUPERVISED_FILE,
                                    ::core::line!(),
                                    self.work(job),
                                )
                                .await;
                            }
                        })
                    }
                }
            },
        );
    }
}
