-- try_drop: they go. args: ids cols: none write: yes
DELETE FROM {try} WHERE id IN ({ids})
