# Seeds 1 and 3 in front of real nginx: what curl in a loop takes for healthy (a 500, a server that hangs) counts
# as down, and the sorry server steps in without a gap.
limit 60s
nginx rs1 127.0.1.1:80
nginx rs2 127.0.1.2:80
nginx rs3 127.0.1.3:80
nginx sorry 127.0.1.9:80

config {
    service web {
        listen 127.0.0.1:8080 http
        pool web
        retry 1 on connect reset timeout 500
        timeout first-byte 500ms
    }
    pool web {
        server rs1 127.0.1.1:80
        server rs2 127.0.1.2:80
        server rs3 127.0.1.3:80
        backup sorry 127.0.1.9:80 checked
        balance least
        check http / every 1s timeout 400ms fast 200ms {
            expect status 200
            expect body OK
        }
        slow-start 0s
    }
}

play {
    start
    run
    within 2s pool web serves rs1 rs2 rs3
    within 2s server rs1 is up
    ask users 127.0.0.1:8080 rate 100
    within 2s users are served by rs1 rs2 rs3

    # Killed.
    kill rs1
    within 900ms..3s pool web serves rs2 rs3
    why rs1 says "L4 refused"
    start rs1
    within 3s pool web serves rs1 rs2 rs3

    # Hung: connects succeed, nothing is answered.
    freeze rs2
    within 900ms..5s pool web serves rs1 rs3
    why rs2 says "timeout"
    thaw rs2
    within 4s pool web serves rs1 rs2 rs3

    # HTTP 500 from a page that answers.
    tell rs3 status 500
    within 900ms..4s pool web serves rs1 rs2
    why rs3 says "L7 status 500"
    tell rs3 ok
    within 4s pool web serves rs1 rs2 rs3

    # All dead, then one back.
    kill rs1 rs2 rs3
    within 900ms..3s pool web serves sorry
    within 4s users are served by sorry
    start rs2
    within 3s pool web serves rs2
    within 4s users are served by rs2
    users lost nothing
    stop
}
