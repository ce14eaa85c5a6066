# A reload while users ask: a server is added, another removed, and nobody notices but the servers. A config that
# is wrong changes nothing.
limit 40s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80
server rs3 127.0.1.3:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        check http / every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

config swapped {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs2 127.0.1.2:80
        server rs3 127.0.1.3:80
        check http / every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

config wrong {
    service web {
        listen 127.0.0.1:8080 http
        pool nobody
    }
}

play {
    start
    run
    within 2s pool web serves rs1 rs2
    within 2s server rs1 is up
    within 2s server rs2 is up
    ask users 127.0.0.1:8080 rate 100
    within 2s users are served by rs1 rs2
    reload swapped
    within 2s pool web serves rs2 rs3
    within 3s users are served by rs2 rs3
    reload wrong
    within 2s log has "nobody"
    for 1s pool web serves rs2 rs3
    users are served by rs2 rs3
    users lost nothing
    stop
}
