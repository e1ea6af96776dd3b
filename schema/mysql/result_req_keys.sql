-- result_req_keys: which of these request keys have a result. args: ids cols: t write: no
SELECT req_key FROM {result} WHERE req_key IN ({ids})
