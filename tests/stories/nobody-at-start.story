# Nobody is there at start, not even a backup: users get a 503 at once and not a refused connection; the first
# server that comes serves.
limit 30s
server rs1 127.0.1.1:80 absent

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        check http / every 1s timeout 500ms
        slow-start 0s
    }
}

play {
    run
    within 3s server rs1 is down
    pool web serves nobody
    ask users 127.0.0.1:8080 rate 50
    within 1s users get 503
    for 1s users get 503
    users waited at most 500ms
    start rs1
    within 3s pool web serves rs1
    within 4s users are served by rs1
}
