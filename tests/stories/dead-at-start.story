# A server that is dead when evenkeel starts is added when it comes: seed 3's script never did that.
limit 30s
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
        check http / every 1s timeout 500ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves rs1
    within 2s server rs2 is down
    ask users 127.0.0.1:8080 rate 50
    for 1s pool web serves rs1
    start rs2
    within 3s pool web serves rs1 rs2
    within 4s users are served by rs1 rs2
    users lost nothing
}
