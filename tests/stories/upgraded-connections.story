# An upgraded connection (WebSocket and its kind) goes on while its server is down for a soft reason, such as
# its health page, and is cut when nobody can be served there any more.
limit 40s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80 absent

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        check http /health every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves rs1
    within 2s server rs1 is up
    talk chat 127.0.0.1:8080
    chat talks
    start rs2
    within 3s pool web serves rs1 rs2

    # Soft: out, and the talk goes on.
    tell rs1 at /health status 503
    within 4s pool web serves rs2
    for 2s chat talks

    # Hard: rs1 lets nobody in any more; its old connections still stand, and are cut.
    tell rs1 deaf
    within 5s chat is cut
    pool web serves rs2
}
