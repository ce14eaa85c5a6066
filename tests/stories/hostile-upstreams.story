# A server that passes its checks and answers users from hell. What has begun cannot be saved; a user waits no
# longer than the relay's deadlines, and nothing of one answer gets into another.
limit 60s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
        retry 1 on connect reset timeout 503
        timeout first-byte 500ms
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        check http /health every 1s timeout 500ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves rs1 rs2
    within 2s server rs1 is up

    # Closed before the first byte: tried at the other server.
    tell rs1 at / close
    tell rs1 at /health ok
    ask closed 127.0.0.1:8080 rate 20
    wait 1s
    closed lost at most 2
    tell rs1 ok

    # Half of an answer: the user sees the cut, not a whole answer.
    tell rs1 at / 20% reset
    tell rs1 at /health ok
    ask cut 127.0.0.1:8080 rate 20
    wait 1s
    cut lost at most 5
    pool web serves rs1 rs2
    tell rs1 ok
    ask after 127.0.0.1:8080 rate 50
    within 2s after are served by rs1 rs2
    after lost nothing
}
