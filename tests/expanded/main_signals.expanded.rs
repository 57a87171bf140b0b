fn main() -> ::std::process::ExitCode {
    return ::tokio_supervised::__private::main(
        {
            const TOKIO_SUPERVISED_OPTIONS: ::tokio_supervised::__private::MainOptions = {
                let __supervised_options = ::tokio_supervised::__private::MainOptions::DEFAULT
                    .signals(&[
                        ::tokio_supervised::Signal::Interrupt,
                        ::tokio_supervised::Signal::Terminate,
                        ::tokio_supervised::Signal::Hangup,
                    ]);
                __supervised_options
            };
            TOKIO_SUPERVISED_OPTIONS
        },
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "main",
                    ::tokio_supervised::__private::Policy::DEFAULT
                        .cooperate()
                        .grace(::core::option::Option::None),
                );
            &TOKIO_SUPERVISED_SPEC
        },
        ::tokio_supervised::__private::exit::<anyhow::Result<()>>({
            use ::tokio_supervised::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&::tokio_supervised::__private::Probe::<anyhow::Result<()>>::NEW)
                .__supervised_verdict()
        }),
        |__supervised_token: ::tokio_supervised::CancellationToken| async move {
            let token: CancellationToken = __supervised_token;
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
                        serve(&token).await
                    })
                }
            }
        },
    );
}
