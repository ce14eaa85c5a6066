# A name that does not resolve is no reason not to start: its server is unknown, with that reason; the others
# serve.
limit 30s
server rs1 127.0.1.1:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 no-such-host.invalid:80
        check http / every 1s timeout 500ms
        slow-start 0s
    }
}

play {
    start
    run
    within 3s pool web serves rs1
    server rs2 is unknown
    why rs2 says "resolve"
    ask users 127.0.0.1:8080 rate 50
    for 1s pool web serves rs1
    users lost nothing
}
