-- claim_key: key and resolved type of an attempt claimed in this transaction. args: client_key msg_type msg_id fence
-- cols: none write: yes
UPDATE {send} SET client_key = ?, msg_type = COALESCE(?, msg_type) WHERE msg_id = CAST(? AS BIGINT) AND fence = CAST(? AS BIGINT)
