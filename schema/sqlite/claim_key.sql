-- claim_key: the key of an attempt that was claimed in this transaction. args: client_key msg_id fence cols: none
-- write: yes
UPDATE {send} SET client_key = ? WHERE msg_id = ? AND fence = ?
