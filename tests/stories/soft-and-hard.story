# All servers answer 500: that is soft, somebody perhaps can be served, but there is a backup. A server that
# refuses gets nothing, whatever min-serving says.
limit 40s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80
server rs3 127.0.1.3:80
server rs4 127.0.1.4:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        server rs3 127.0.1.3:80
        server rs4 127.0.1.4:80
        min-serving 50%
        check http /health every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s server rs1 is up
    within 2s server rs2 is up
    within 2s server rs3 is up
    within 2s server rs4 is up
    ask users 127.0.0.1:8080 rate 50

    # Three bad health pages: half of the pool goes on serving all the same.
    tell rs1 at /health status 503
    tell rs2 at /health status 503
    tell rs3 at /health status 503
    within 4s server rs1 is down
    within 4s server rs2 is down
    within 4s server rs3 is down
    server rs4 is serving
    why rs1 says "L7 status 503"

    # Three that refuse: nobody is sent there.
    tell rs1 refuse
    tell rs2 refuse
    tell rs3 refuse
    within 4s pool web serves rs4
    within 5s users are served by rs4
    users lost nothing
}
