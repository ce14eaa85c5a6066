# The script of seeds 1 and 3, as a service: servers behind one address, a sorry server for when all are dead.
# Dead after three fails spread over a second, back after two passes; nobody is refused at any moment.
limit 60s
address 192.168.1.100
address 192.168.1.102
address 192.168.1.103
server rs1 192.168.1.102:80
server rs2 192.168.1.103:80
server sorry 127.0.0.1:80

config {
    service web {
        listen 192.168.1.100:80 http
        pool web
    }
    pool web {
        server rs1 192.168.1.102:80 weight 1
        server rs2 192.168.1.103:80 weight 3
        backup sorry 127.0.0.1:80
        check http /.health every 1s timeout 500ms {
            expect status 200
            expect body OK
            down after 3 fails
            up after 2 passes
        }
        slow-start 0s
    }
}

play {
    start
    run --seed-log $DIR/ipvsmonitor.log
    within 2s pool web serves rs1 rs2
    within 2s server rs1 is up
    ask users 192.168.1.100:80 rate 100
    within 2s users are served by rs1 rs2

    # One dies: not out before its third fail, which comes no sooner than a second after the first.
    kill rs1
    within 900ms..3s pool web serves rs2
    why rs1 says "L4 refused"
    log has "rs1: down"
    for 500ms users are served by rs2

    # All dead: the sorry server, and not one refused request on the way.
    kill rs2
    within 900ms..3s pool web serves sorry
    within 4s users are served by sorry
    for 1s users are served by sorry

    # One back: the sorry server rests.
    start rs2
    within 4s pool web serves rs2
    within 5s users are served by rs2
    start rs1
    within 4s pool web serves rs1 rs2
    within 5s users are served by rs1 rs2
    users lost nothing
    file ipvsmonitor.log has "192.168.1.102 is gone."
    file ipvsmonitor.log has "192.168.1.103 is gone."
    file ipvsmonitor.log has "FAIL_BACK is start."
    file ipvsmonitor.log has "192.168.1.103 is back."
    file ipvsmonitor.log has "FAIL_BACK is stop."
    stop
}
