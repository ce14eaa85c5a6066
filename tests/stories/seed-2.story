# Seed 2: half-open often, the real question seldom. F5's rule: down when nothing has passed for so long. A
# frozen server still accepts, so only the real question finds it; a wrong answer is found by it too.
limit 60s
server app1 10.1.61.55:38001
server app2 10.1.61.56:38001
address 10.1.61.10
address 10.1.61.55
address 10.1.61.56

config {
    service banking {
        listen 10.1.61.10:38001
        pool banking
    }
    pool banking {
        server app1 10.1.61.55:38001
        server app2 10.1.61.56:38001
        check half-open every 1s timeout 500ms {
            down after 4s
        }
        check tcp every 2s timeout 500ms fast 500ms {
            send "GET /ping HTTP/1.0\r\n\r\n"
            expect 000000
            down after 2 fails
        }
        slow-start 0s
    }
}

play {
    start
    tell app1 say 000000
    tell app2 say 000000
    run
    within 3s server app1 is up
    within 3s server app2 is up

    # Refused: the question of the second check fails twice before four seconds have passed.
    tell app2 refuse
    within 900ms..5s pool banking serves app1
    tell app2 ok
    within 8s pool banking serves app1 app2

    # Frozen: SYN and SYN/ACK as ever.
    freeze app1
    within 900ms..6s pool banking serves app2
    why app1 says "timeout"
    thaw app1
    within 8s pool banking serves app1 app2

    # An answer, and not the right one.
    tell app2 say 00000
    within 900ms..6s pool banking serves app1
    why app2 says "L7 no \"000000\""
    tell app2 say 000000

    # Its fourth change in two minutes: it is up again, and held out for a while because app1 serves.
    within 8s server app2 is up
    why app2 says "changed too often"
    pool banking serves app1
}
