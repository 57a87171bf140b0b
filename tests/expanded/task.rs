fn tasks() {
    let served = task!("http", |token| {
        axum::serve(listener, app).with_graceful_shutdown(token.cancelled_owned())
    });
    let ticked =
        task!("tick", timeout = "1m", |token| -> Result<(), TaskError> { tick(&token).await });
}
