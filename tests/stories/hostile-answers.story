# Answers from hell. Each check ends within its timeout and names the cause; the healthy server is not disturbed.
limit 60s
server well 127.0.1.1:80
server endless 127.0.1.2:80
server dripping 127.0.1.3:80
server garbled 127.0.1.4:80
server huge 127.0.1.5:80
server closing 127.0.1.6:80
server resetting 127.0.1.7:80
server short 127.0.1.8:80
server silent 127.0.1.9:80
server refusing 127.0.1.10:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
    }
    pool web {
        server well 127.0.1.1:80
        server endless 127.0.1.2:80
        server dripping 127.0.1.3:80
        server garbled 127.0.1.4:80
        server huge 127.0.1.5:80
        server closing 127.0.1.6:80
        server resetting 127.0.1.7:80
        server short 127.0.1.8:80
        server silent 127.0.1.9:80
        server refusing 127.0.1.10:80
        check http / every 1s timeout 600ms fast 200ms {
            expect status 200
            expect body "well OK"
        }
        slow-start 0s
    }
}

play {
    start
    tell endless endless
    tell dripping drip
    tell garbled garbage
    tell huge huge
    tell closing close
    tell resetting reset
    tell short early
    tell silent hang
    tell refusing refuse
    run
    within 8s pool web serves well
    for 2s pool web serves well
    why endless says "L7 no \"well OK\""
    why dripping says "timeout"
    why garbled says "L7"
    why huge says "L7 no \"well OK\""
    why closing says "closed"
    why resetting says "reset"
    why short says "L7"
    why silent says "timeout"
    why refusing says "L4 refused"
}
