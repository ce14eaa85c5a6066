# Servers over IPv6 and over sockets in the file system are servers like any other; so are listeners.
limit 40s
server six [::1]:8001
server file unix:$DIR/app.sock

config {
    service web {
        listen [::1]:8080 http
        listen unix:$DIR/front.sock http
        pool web
    }
    pool web {
        server six [::1]:8001
        server file unix:$DIR/app.sock
        check http / every 500ms timeout 300ms fast 200ms
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves six file
    within 2s server file is up
    ask over-six [::1]:8080 rate 50
    ask over-file unix:$DIR/front.sock rate 50
    within 2s over-six are served by six file
    within 2s over-file are served by six file
    tell file refuse
    within 900ms..4s pool web serves six
    within 5s over-file are served by six
    tell file ok
    within 4s pool web serves six file
    tell six refuse
    within 900ms..4s pool web serves file
    within 5s over-six are served by file
    over-six lost nothing
    over-file lost nothing
}
