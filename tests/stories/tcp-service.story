# A service that knows nothing of HTTP: connections of a server that dies are cut, new ones go to the other.
limit 40s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80

config {
    service web {
        listen 127.0.0.1:8080
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        check tcp every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves rs1 rs2
    within 2s server rs1 is up
    ask users 127.0.0.1:8080 rate 50 fresh
    within 2s users are served by rs1 rs2
    tell rs1 refuse
    within 900ms..4s pool web serves rs2
    within 5s users are served by rs2
    # A connection under way when rs1 went away is the only loss: at 50 a second and under 1 ms each, one or none.
    users lost at most 1
    tell rs1 ok
    within 4s pool web serves rs1 rs2
    within 5s users are served by rs1 rs2
}
