# One of twenty servers hangs, for good. The nineteen others are found dead, and found alive again, as fast as
# if it were not there: seed 1's loop asked one after the other.
limit 60s
server rs1 127.0.1.1:80
server rs2 127.0.1.2:80
server rs3 127.0.1.3:80
server rs4 127.0.1.4:80
server rs5 127.0.1.5:80
server rs6 127.0.1.6:80
server rs7 127.0.1.7:80
server rs8 127.0.1.8:80
server rs9 127.0.1.9:80
server rs10 127.0.1.10:80
server rs11 127.0.1.11:80
server rs12 127.0.1.12:80
server rs13 127.0.1.13:80
server rs14 127.0.1.14:80
server rs15 127.0.1.15:80
server rs16 127.0.1.16:80
server rs17 127.0.1.17:80
server rs18 127.0.1.18:80
server rs19 127.0.1.19:80
server rs20 127.0.1.20:80

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
        server rs5 127.0.1.5:80
        server rs6 127.0.1.6:80
        server rs7 127.0.1.7:80
        server rs8 127.0.1.8:80
        server rs9 127.0.1.9:80
        server rs10 127.0.1.10:80
        server rs11 127.0.1.11:80
        server rs12 127.0.1.12:80
        server rs13 127.0.1.13:80
        server rs14 127.0.1.14:80
        server rs15 127.0.1.15:80
        server rs16 127.0.1.16:80
        server rs17 127.0.1.17:80
        server rs18 127.0.1.18:80
        server rs19 127.0.1.19:80
        server rs20 127.0.1.20:80
        check http / every 1s timeout 900ms fast 200ms {
            down after 3 fails
            up after 2 passes
        }
        slow-start 0s
    }
}

play {
    start
    run
    within 3s pool web serves rs1 rs2 rs3 rs4 rs5 rs6 rs7 rs8 rs9 rs10 rs11 rs12 rs13 rs14 rs15 rs16 rs17 rs18 rs19 rs20
    within 2s server rs1 is up

    # How long it takes when nobody hangs: at most a second to the next probe and one more for three fails.
    kill rs1
    within 900ms..2500ms server rs1 is out
    start rs1
    within 2s server rs1 is serving

    # The same with rs20 frozen, from its first moment and long after.
    freeze rs20
    kill rs2
    within 900ms..2500ms server rs2 is out
    within 8s server rs20 is out
    why rs20 says "timeout"
    kill rs3
    within 900ms..2500ms server rs3 is out
    start rs3
    within 2s server rs3 is serving
    start rs2
    within 2s server rs2 is serving
    pool web serves rs1 rs2 rs3 rs4 rs5 rs6 rs7 rs8 rs9 rs10 rs11 rs12 rs13 rs14 rs15 rs16 rs17 rs18 rs19
}
