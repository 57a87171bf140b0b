#[allow(clippy::impl_trait_in_params)]
fn refresh(
    #[cfg(not(doc))] __supervised_token: impl ::tokio_supervised::AsToken,
    #[cfg(doc)] token: impl ::tokio_supervised::AsToken,
    cache: Arc<Cache>,
) -> ::tokio_supervised::Restarting<
    impl ::tokio_supervised::__private::Runs<Output = Result<(), Error>>,
> {
    #[cfg(doc)]
    let __supervised_token = token;
    let __supervised_kept_0 = ::tokio_supervised::__private::restart_arg(cache);
    return ::tokio_supervised::__private::supervise_recurring(
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "refresh",
                    ::tokio_supervised::__private::Policy::DEFAULT
                        .restart(::tokio_supervised::__private::Restart::ON_FAILURE)
                        .log(::tokio_supervised::__private::FailureLevel::Warn),
                );
            &TOKIO_SUPERVISED_SPEC
        },
        __supervised_token,
        ::tokio_supervised::__private::restart_if(
            ::tokio_supervised::__private::every(
                ::tokio_supervised::__private::recurring(::tokio_supervised::__private::output::<
                    Result<(), Error>,
                >({
                    use ::tokio_supervised::__private::{
                        ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _,
                        ByError as _, ByResult as _, BySharedError as _,
                    };
                    (&&&&&&::tokio_supervised::__private::Probe::<Result<(), Error>>::NEW)
                        .__supervised_verdict()
                })),
                {
                    const TOKIO_SUPERVISED_INTERVAL: ::core::time::Duration =
                        ::core::time::Duration::from_millis(30000u64);
                    TOKIO_SUPERVISED_INTERVAL
                },
            ),
            Error::is_transient,
        ),
        move || async move {
            let cache = __supervised_kept_0.take();
            let cache = cache;
            if false {
                return ::tokio_supervised::__private::declared::<Result<(), Error>>();
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
                        cache.reload().await
                    })
                }
            }
        },
    );
}
