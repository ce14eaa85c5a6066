# An address that somebody else listens on: evenkeel says which, and does not start by halves.
limit 20s
server other 127.0.0.1:8080
server rs1 127.0.1.1:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        check http /
    }
}

play {
    start
    run fails with "127.0.0.1:8080" "in use"
}
