/// Orders are kept.
#[should_panic(expected = "lost")]
#[::core::prelude::v1::test]
fn keeps_orders() -> anyhow::Result<()> {
    return ::tokio_supervised::__private::test(
        {
            const TOKIO_SUPERVISED_OPTIONS: ::tokio_supervised::__private::TestOptions =
                ::tokio_supervised::__private::TestOptions::DEFAULT.current_thread().start_paused();
            TOKIO_SUPERVISED_OPTIONS
        },
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "keeps_orders",
                    ::tokio_supervised::__private::Policy::DEFAULT
                        .cooperate()
                        .grace(::core::option::Option::None),
                );
            &TOKIO_SUPERVISED_SPEC
        },
        {
            use ::tokio_supervised::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&::tokio_supervised::__private::Probe::<anyhow::Result<()>>::NEW)
                .__supervised_verdict()
        },
        |__supervised_token: ::tokio_supervised::CancellationToken| async move {
            let token: &CancellationToken = &__supervised_token;
            if false {
                return ::tokio_supervised::__private::declared::<anyhow::Result<()>>();
            }
            #[allow(dead_code)]
            const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                ::tokio_supervised::__private::File::of(::core::file!());
            #[allow(unused_imports)]
            use ::tokio_supervised::__private::store as __supervised_store;
            match () {
                () => {
                    ({
                        __supervised_store(TOKIO_SUPERVISED_FILE, ::core::line!());
                        serve(token).await
                    })
                }
            }
        },
    );
}
#[::core::prelude::v1::test]
fn begins() {
    return ::tokio_supervised::__private::test(
        {
            const TOKIO_SUPERVISED_OPTIONS: ::tokio_supervised::__private::TestOptions =
                ::tokio_supervised::__private::TestOptions::DEFAULT.worker_threads(2).allow_leaks();
            TOKIO_SUPERVISED_OPTIONS
        },
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "begins",
                    ::tokio_supervised::__private::Policy::DEFAULT,
                );
            &TOKIO_SUPERVISED_SPEC
        },
        {
            use ::tokio_supervised::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&::tokio_supervised::__private::Probe::<()>::NEW).__supervised_verdict()
        },
        |__supervised_token: ::tokio_supervised::CancellationToken| async move {
            let _ = __supervised_token;
            if false {
                return ::tokio_supervised::__private::declared::<()>();
            }
            #[allow(dead_code)]
            const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                ::tokio_supervised::__private::File::of(::core::file!());
            #[allow(unused_imports)]
            use ::tokio_supervised::__private::store as __supervised_store;
            match () {
                () => {
                    ({
                        __supervised_store(TOKIO_SUPERVISED_FILE, ::core::line!());
                        begin().await;
                    })
                }
            }
        },
    );
}
