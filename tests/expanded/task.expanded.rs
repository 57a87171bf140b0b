fn tasks() {
    let served = {
        move |__supervised_token: ::tokio_supervised::CancellationToken| {
            let __supervised_token =
                ::tokio_supervised::__private::own_token_of_closure(__supervised_token);
            let __supervised_own = ::core::clone::Clone::clone(&__supervised_token);
            let token = __supervised_token;
            ::tokio_supervised::__private::supervise_foreign(
                {
                    static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                        ::tokio_supervised::__private::TaskSpec::new(
                            "http",
                            ::tokio_supervised::__private::Policy::DEFAULT.cooperate(),
                        );
                    &TOKIO_SUPERVISED_SPEC
                },
                __supervised_own,
                { axum::serve(listener, app).with_graceful_shutdown(token.cancelled_owned()) },
            )
        }
    };
    let ticked = {
        move |__supervised_token: ::tokio_supervised::CancellationToken| {
            let __supervised_own = ::core::clone::Clone::clone(&__supervised_token);
            #[allow(dead_code)]
            const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                ::tokio_supervised::__private::File::of(::core::file!());
            #[allow(unused_imports)]
            use ::tokio_supervised::__private::store as __supervised_store;
            ::tokio_supervised::__private::supervise(
                {
                    static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                        ::tokio_supervised::__private::TaskSpec::new(
                            "tick",
                            ::tokio_supervised::__private::Policy::DEFAULT
                                .timeout(::core::time::Duration::from_millis(60000u64))
                                .cooperate()
                                .take_token(),
                        );
                    &TOKIO_SUPERVISED_SPEC
                },
                __supervised_own,
                ::tokio_supervised::__private::output::<Result<(), TaskError>>({
                    use ::tokio_supervised::__private::{
                        ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _,
                        ByError as _, ByResult as _, BySharedError as _,
                    };
                    (&&&&&&::tokio_supervised::__private::Probe::<Result<(), TaskError>>::NEW)
                        .__supervised_verdict()
                }),
                async move {
                    let __supervised_token =
                        ::tokio_supervised::__private::own_token(__supervised_token);
                    let token = __supervised_token;
                    if false {
                        return ::tokio_supervised::__private::declared::<Result<(), TaskError>>();
                    }
                    match () {
                        () => {
                            ({
                                __supervised_store(TOKIO_SUPERVISED_FILE, ::core::line!());
                                tick(&token).await
                            })
                        }
                    }
                },
            )
        }
    };
}
