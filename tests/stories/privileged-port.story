# A port below 1024 without the right to it: evenkeel says which, and how to grant it.
limit 20s
server rs1 127.0.1.1:80

config {
    service web {
        listen 127.0.0.1:80 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        check http /
    }
}

play {
    start
    run unprivileged fails with "127.0.0.1:80" "CAP_NET_BIND_SERVICE"
}
