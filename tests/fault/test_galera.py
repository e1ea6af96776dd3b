"""A Galera cluster of three nodes, one agent on each; nodes and agents are killed under load.

The locks of a claim are known to one node only: two agents may mark the same row, and the later COMMIT is refused (1213).  Exactly one
of them has it then, and the other one tries again.  An agent whose node is gone waits for it and does no harm; the agents on the
other nodes take over what it had.
"""

import os
import random
import time

import pytest

from lib import proof
from lib.agent import Agent
from lib.crew import Crew
from lib.db import Unavailable
from lib.galera import Galera
from lib.wait import wait_until


@pytest.fixture(scope="module")
def cluster():
    try:
        with Galera() as one:
            yield one
    except Unavailable as e:
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise
        pytest.skip(str(e))


class OnNodes(Crew):
    """One agent on each node; the test itself looks at the first one, which is never killed."""

    def __init__(self, cluster, folder, sim, **kw):
        self.cluster = cluster
        self.databases = cluster.create()
        self.databases[0].apply_schema()
        made = iter(range(len(self.databases)))

        def make(start, channel, extra):
            n = next(made)
            return Agent(os.path.join(folder, "a%d" % (n + 1)), self.databases[n], sim, agent_id="node-%d" % (n + 1),
                         channel=channel, extra=extra)
        super().__init__(make, self.databases[0], sim, len(self.databases), **kw)

    def away(self, node):
        """Kills a node and waits until the others go on without it."""
        node.kill9()
        rest = str(sum(n.running() for n in self.cluster.nodes))
        wait_until(lambda: self.cluster.nodes[0].state("cluster_size") == rest and self.cluster.nodes[0].synced(), 60,
                   "the cluster to go on")

    def close(self):
        for a in self.agents:
            a.close()
        for d in self.databases:
            d.forget()


@pytest.fixture
def crew(cluster, folder, sim):
    one = OnNodes(cluster, folder, sim)
    yield one
    one.close()


def rate(crew, messages_per_s):
    crew.stop()
    for a in crew:
        a.write({"channels": [dict(a.config["channels"][0], rate=messages_per_s)]})


def claim_together(crew, cluster):
    """All three agents want the same rows at the same time."""
    crew.insert(proof.size(900, 20000))
    crew.start(ready=True)
    crew.wait_rows("1 = 1", proof.size(60, 400))
    owners = {r["owner"]: r["n"] for r in crew.database.query("SELECT owner, COUNT(*) AS n FROM {p}result GROUP BY owner")}
    refused = sum(int(n.state(name)) for n in cluster.nodes for name in ("local_cert_failures", "local_bf_aborts"))
    crew.check()
    print("owners %s, %d transactions refused by the certification" % (owners, refused))
    assert len(owners) == 3, owners
    return refused


def test_three_nodes_and_an_agent_on_each(crew, sim, cluster):
    seed = proof.seed()
    rng = random.Random(seed)
    refused = claim_together(crew, cluster)
    rate(crew, 150)
    sim.config(answer_delay_ms=50)
    nodes = 0
    for _ in range(proof.size(1, 10)):
        crew.start(ready=True)
        victim = rng.randrange(1, len(cluster.nodes))
        a, node = crew[victim], cluster.nodes[victim]

        def at_work():
            if crew.watch() < 600:
                crew.insert(300)
            return crew.database.count("send", "status = 1 AND owner = ?", ("node-%d" % (victim + 1),))
        # An agent whose node has come back is at work again within its longest pause.
        wait_until(at_work, 40, "the agent of that node to have rows", fail=a.dead_text)
        time.sleep(rng.uniform(0, 0.3))     # the moment is what is random, nothing is waited for
        crew.away(node)
        nodes += 1
        if rng.random() < 0.5:
            crew.kill(a)                    # the machine of a node often dies with the agent
        other = crew[3 - victim]
        if rng.random() < 0.5:
            crew.kill(other)
        # The others finish everything while it is away.
        others = [crew[0], other]
        for one in others:
            if not one.alive():
                one.start(wait=False)
        wait_until(lambda: crew.database.count("send", "status NOT IN (2, 4)") == 0, 60, "the agents of the other nodes to finish",
                   fail=lambda: next((t for t in (one.dead_text() for one in others) if t), None))
        node.back()
    sim.config(answer_delay_ms=0)
    held = crew.finish()
    crew.stop()
    print("%d nodes and %d agents killed, %d rows, %d held" % (nodes, crew.kills, crew.inserted, held))
    proof.record("galera", "galera", seed, nodes=nodes, kills=crew.kills, rows=crew.inserted, held=held,
                 refused=refused)
    assert not any(a.log_has("relay.frozen") for a in crew)
